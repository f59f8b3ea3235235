// Arguments: what one verb takes on its command line, declared once for parsing and for --help. Hides CLI11, which only
// arguments.cc and program.cc know.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "proto/base/clock.h"

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace hostcall::cli {

// An allowed range of numbers, both ends included.
struct Range {
  std::uint64_t min = 0;
  std::uint64_t max = UINT64_MAX;
};

class Arguments {
 public:
  explicit Arguments(CLI::App& app) : app_(app) {}

  // `names`: "-c,--count". `value` must outlive the parse, and holds the default before it.
  void flag(const std::string& names, bool& value, const std::string& help);
  void option(const std::string& names, const std::string& type, std::string& value, const std::string& help);
  void option(const std::string& names, const std::string& type, std::vector<std::string>& values,
              const std::string& help);
  void option(const std::string& names, const std::string& type, std::optional<std::uint64_t>& value, Range range,
              const std::string& help);
  void option(const std::string& names, milliseconds& value, const std::string& help);
  void option(const std::string& names, std::optional<milliseconds>& value, const std::string& help);
  // The option before this one must be given.
  void required();

  void positional(const std::string& name, std::string& value, const std::string& help);
  void positional(const std::string& name, std::uint64_t& value, const std::string& help);
  void positional(const std::string& name, std::optional<std::string>& value, const std::string& help);
  void positional(const std::string& name, std::vector<std::string>& values, const std::string& help);

  // A line of help for what is parsed elsewhere.
  void mention(const std::string& left, const std::string& help) { rows_.push_back({left, help}); }

  // "NAME [JSON]", for the usage line.
  const std::string& usage() const { return usage_; }
  // Two columns, wrapped; empty without options.
  std::string describe() const;

 private:
  template <class Time>
  void time_option(const std::string& names, Time& value, const std::string& help);
  struct Row {
    std::string left, help;
  };
  void add_row(const std::string& names, const std::string& type, const std::string& help);

  CLI::App& app_;
  CLI::Option* last_ = nullptr;
  std::string last_usage_;
  std::string usage_;
  std::vector<Row> rows_;
};

}  // namespace hostcall::cli
