// Arguments: what one verb takes on its command line, declared once for parsing and for --help. Hides CLI11, which only
// arguments.cc and program.cc know.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "client/cli/duration.h"
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

// The same of times.
struct TimeRange {
  milliseconds min{1};
  milliseconds max = kMaxDuration;
};

class Arguments {
 public:
  explicit Arguments(CLI::App& app) : app_(app) {}

  // `names`: "-c,--count". `value` must outlive take(), and holds the default before it. An option without a list is
  // given at most once.
  void flag(const std::string& names, bool& value, const std::string& help);
  void option(const std::string& names, const std::string& type, std::string& value, const std::string& help);
  void option(const std::string& names, const std::string& type, std::optional<std::string>& value,
              const std::string& help);
  void option(const std::string& names, const std::string& type, std::vector<std::string>& values,
              const std::string& help);
  void option(const std::string& names, const std::string& type, std::optional<std::uint64_t>& value, Range range,
              const std::string& help);
  void option(const std::string& names, milliseconds& value, TimeRange range, const std::string& help);
  void option(const std::string& names, std::optional<milliseconds>& value, const std::string& help);
  // The option that was declared last must be given.
  void required();
  // An empty value of the option that was declared last is wrong usage.
  void not_empty() { slots_.back().may_be_empty = false; }

  void positional(const std::string& name, std::string& value, const std::string& help);
  void positional(const std::string& name, std::uint64_t& value, const std::string& help);
  void positional(const std::string& name, std::optional<std::string>& value, const std::string& help);
  void positional(const std::string& name, std::vector<std::string>& values, const std::string& help);

  // All words behind the positional that was declared last, as they are, options too. Declared after everything else.
  void rest(const std::string& name, std::vector<std::string>& values, const std::string& help);
  bool has_rest() const { return rest_ != nullptr; }
  // These words; take() does not know of them.
  void take_rest(std::vector<std::string> words) { *rest_ = std::move(words); }

  // Passes what the command line had to the values, once it is parsed. Throws Failure: usage.
  void take() const;

  // A line of help for what is parsed elsewhere.
  void mention(const std::string& left, const std::string& help) { rows_.push_back({left, help}); }

  // "NAME [JSON]", for the usage line.
  const std::string& usage() const { return usage_; }
  // Two columns, wrapped; empty without options.
  std::string describe() const;

 private:
  using Take = std::function<void(const std::string& text)>;
  // What was declared, and where its texts go.
  struct Slot {
    CLI::Option* option;
    std::string name;   // "--count", "NAME"
    std::string usage;  // "--count N", "NAME"
    Take take;
    bool repeats = false;
    bool is_required = false;
    bool may_be_empty = true;
  };
  struct Row {
    std::string left, help;
  };
  void add_option(const std::string& names, const std::string& type, const std::string& help, Take take,
                  bool repeats = false);
  void add_positional(const std::string& name, const std::string& usage, const std::string& help, Take take,
                      bool repeats = false);
  void add_row(const std::string& names, const std::string& value, const std::string& help);
  static void take(const Slot& slot);

  CLI::App& app_;
  std::vector<Slot> slots_;
  std::string usage_;
  std::vector<Row> rows_;
  std::vector<std::string>* rest_ = nullptr;
};

// The words of a command line for CLI11, which takes "--option=" for an option whose value comes next, and "[a,b]" for
// a list: such a word ends with a mark, which take() removes from the values.
std::vector<std::string> marked_words(int argc, char** argv);
// Without marks.
std::string unmarked(std::string word);

}  // namespace hostcall::cli
