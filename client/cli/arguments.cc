// Arguments: see arguments.h.
#include "client/cli/arguments.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>

#include "client/cli/duration.h"
#include "client/cli/text.h"
#include "proto/base/escape.h"

namespace hostcall::cli {
namespace {

constexpr std::size_t kMargin = 2;
constexpr std::size_t kGap = 2;
// An option that is longer gets a line of its own.
constexpr std::size_t kMaxLeft = 24;

// "--count" of "-c,--count".
std::string long_name(const std::string& names) { return names.substr(names.rfind(',') + 1); }

std::uint64_t parse_number(const std::string& name, const std::string& text, Range range) {
  std::uint64_t number = 0;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  const bool whole = error == std::errc{} && stop == text.data() + text.size();
  if (whole && number >= range.min && number <= range.max) return number;
  const auto upper = range.max == UINT64_MAX ? std::string(" up") : " to " + std::to_string(range.max);
  throw CLI::ValidationError(name,
                             in_quotes(text) + " is not a whole number from " + std::to_string(range.min) + upper);
}

milliseconds parse_time(const std::string& name, const std::string& text) {
  if (const auto time = parse_duration(text)) return *time;
  throw CLI::ValidationError(name, in_quotes(text) + " is not a time; write " + kDurationForms + ", from 1ms to " +
                                       format_duration(kMaxDuration));
}

}  // namespace

void Arguments::flag(const std::string& names, bool& value, const std::string& help) {
  last_ = app_.add_flag(names, value);
  add_row(names, "", help);
}

void Arguments::option(const std::string& names, const std::string& type, std::string& value, const std::string& help) {
  last_ = app_.add_option(names, value);
  add_row(names, type, help);
}

void Arguments::option(const std::string& names, const std::string& type, std::vector<std::string>& values,
                       const std::string& help) {
  // One value for each time that it is given: what follows is not swallowed.
  last_ = app_.add_option(names, values)->expected(1)->allow_extra_args(false)->take_all();
  add_row(names, type, help);
}

void Arguments::option(const std::string& names, const std::string& type, std::optional<std::uint64_t>& value,
                       Range range, const std::string& help) {
  const auto name = long_name(names);
  last_ = app_.add_option_function<std::string>(
      names, [name, &value, range](const std::string& text) { value = parse_number(name, text, range); });
  add_row(names, type, help);
}

template <class Time>
void Arguments::time_option(const std::string& names, Time& value, const std::string& help) {
  const auto name = long_name(names);
  last_ = app_.add_option_function<std::string>(
      names, [name, &value](const std::string& text) { value = parse_time(name, text); });
  add_row(names, "TIME", help);
}

void Arguments::option(const std::string& names, milliseconds& value, const std::string& help) {
  time_option(names, value, help);
}

void Arguments::option(const std::string& names, std::optional<milliseconds>& value, const std::string& help) {
  time_option(names, value, help);
}

void Arguments::required() {
  last_->required();
  usage_ += " " + last_usage_;
}

void Arguments::positional(const std::string& name, std::string& value, const std::string& help) {
  app_.add_option(name, value)->required();
  usage_ += " " + name;
  rows_.push_back({name, help});
}

void Arguments::positional(const std::string& name, std::uint64_t& value, const std::string& help) {
  app_.add_option_function<std::string>(
          name, [name, &value](const std::string& text) { value = parse_number(name, text, {}); })
      ->required();
  usage_ += " " + name;
  rows_.push_back({name, help});
}

void Arguments::positional(const std::string& name, std::optional<std::string>& value, const std::string& help) {
  app_.add_option_function<std::string>(name, [&value](const std::string& text) { value = text; });
  usage_ += " [" + name + "]";
  rows_.push_back({name, help});
}

void Arguments::positional(const std::string& name, std::vector<std::string>& values, const std::string& help) {
  app_.add_option(name, values);
  usage_ += " [" + name + "]...";
  rows_.push_back({name, help});
}

std::string Arguments::describe() const {
  std::size_t left = 0;
  for (const auto& row : rows_)
    if (row.left.size() <= kMaxLeft) left = std::max(left, row.left.size());
  const std::size_t indent = kMargin + left + kGap;
  std::string out;
  for (const auto& row : rows_) {
    const bool fits = row.left.size() <= left;
    out += std::string(kMargin, ' ') + row.left;
    out += fits ? std::string(left + kGap - row.left.size(), ' ') : "\n" + std::string(indent, ' ');
    out += wrap(row.help, kTerminalWidth, indent) + "\n";
  }
  return out;
}

void Arguments::add_row(const std::string& names, const std::string& type, const std::string& help) {
  const auto value = type.empty() ? "" : " " + type;
  last_usage_ = long_name(names) + value;
  const auto comma = names.find(',');
  if (comma == std::string::npos)
    rows_.push_back({"    " + names + value, help});
  else
    rows_.push_back({names.substr(0, comma) + ", " + names.substr(comma + 1) + value, help});
}

}  // namespace hostcall::cli
