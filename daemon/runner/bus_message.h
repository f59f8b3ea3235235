// BusMessage: a message of D-Bus that has come.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>

struct sd_bus_message;

namespace hostcall::daemon {

// Of a property: a text, or a number; of "(uo)", the number.
struct BusValue {
  std::string text;
  std::uint64_t number = 0;
};
using BusValues = std::map<std::string, BusValue, std::less<>>;

// A received message: a signal, or the answer to a call. Read from front to back.
class BusMessage {
 public:
  // Null: the answer to a call that can't be sent.
  explicit BusMessage(sd_bus_message* message) : message_(message) {}
  // The error of a failed call: its name and text. Empty: it has not failed.
  std::string error_name() const;
  std::string error_text() const;
  // The object that a signal is from.
  std::string path() const;
  // The next values, which must have this type. Empty if they do not.
  std::string read_text();
  std::string read_path();
  void skip(const char* types);
  // Of an array of named variants, those with these names. Nothing: it is none.
  std::optional<BusValues> read_values(const std::set<std::string, std::less<>>& names);

 private:
  bool read_value(BusValue& value);
  sd_bus_message* message_;
};

}  // namespace hostcall::daemon
