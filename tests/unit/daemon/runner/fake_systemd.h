// FakeSystemd: systemd's manager behind a bus, at the other end of a connection, as far as the runner needs them. The
// bus has the default limits of dbus-daemon's system bus. The test decides what becomes of the units.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <vector>

#include "proto/base/unique_fd.h"

struct sd_bus;
struct sd_bus_message;

namespace hostcall::daemon {

class FakeSystemd {
 public:
  // Speaks over this socket.
  explicit FakeSystemd(UniqueFd socket);
  ~FakeSystemd();
  FakeSystemd(const FakeSystemd&) = delete;
  FakeSystemd& operator=(const FakeSystemd&) = delete;

  // A unit as StartTransientUnit describes it.
  struct Unit {
    std::map<std::string, std::string> properties;  // lists with "|" between their texts
    std::vector<ino_t> descriptors;                 // standard input, output, error
  };
  const Unit& unit(const std::string& name) const { return units_.at(name); }
  const std::vector<std::string>& names() const { return names_; }
  // "StopUnit NAME", "KillUnit NAME WHOM SIGNAL", "UnrefUnit NAME", "Subscribe", in their order.
  const std::vector<std::string>& calls() const { return calls_; }

  // Refuses the next units with this error.
  void refuse(const std::string& error) { refusal_ = error; }
  // What questions about any unit are answered with.
  void set(const std::string& property, const std::string& text) { texts_[property] = text; }
  void set(const std::string& property, std::uint64_t number) { numbers_[property] = number; }
  void leave_out(const std::string& property) { numbers_.erase(property); }
  // Answers the next calls of this member with an error, so many.
  void fail(const std::string& member, int count) { failures_[member] = count; }
  // How many calls of the runner the bus has refused.
  int refused_by_bus() const { return refused_by_bus_; }
  void say_job_removed(const std::string& unit, const std::string& result, const char* sender = kName);
  void say_changed(const std::string& unit, const std::string& state, const char* sender = kName);

  // Answers what has come. True: there was something.
  bool process();
  // A message that has come.
  int answer(sd_bus_message* message);

  static constexpr char kName[] = "org.freedesktop.systemd1";

 private:
  int on_call(sd_bus_message* message, const std::string& member);
  int on_start(sd_bus_message* message);
  int on_bus(sd_bus_message* message, const std::string& member);
  int on_get_all(sd_bus_message* message);
  void answer_waiting();
  void send(sd_bus_message* signal, const char* sender);

  sd_bus* bus_ = nullptr;
  std::string refusal_;
  std::map<std::string, Unit> units_;
  std::vector<std::string> names_, calls_;
  std::map<std::string, std::string> texts_;
  std::map<std::string, std::uint64_t> numbers_;
  std::map<std::string, int> failures_;
  std::deque<sd_bus_message*> waiting_;  // all calls come before any is answered
  int matches_ = 0, without_answer_ = 0, refused_by_bus_ = 0;
};

}  // namespace hostcall::daemon
