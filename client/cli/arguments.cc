// Arguments: see arguments.h.
#include "client/cli/arguments.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>

#include "client/cli/exit_code.h"
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
  const bool is_open = range.max == UINT64_MAX && error != std::errc::result_out_of_range;
  const auto upper = is_open ? std::string(" up") : " to " + std::to_string(range.max);
  throw cli::usage(name + ": " + in_quotes(text) + " is not a whole number from " + std::to_string(range.min) + upper);
}

milliseconds parse_time(const std::string& name, const std::string& text, TimeRange range) {
  const auto time = parse_duration(text);
  if (time && *time >= range.min && *time <= range.max) return *time;
  throw cli::usage(name + ": " + in_quotes(text) + " is not a time from " + exact_duration(range.min) + " to " +
                   exact_duration(range.max) + "; write " + kDurationForms);
}

// No word of a command line has one.
constexpr char kMark = '\0';

bool needs_mark(const std::string& word) {
  return word.ends_with(']') || (word.starts_with("--") && word.ends_with('='));
}

}  // namespace

std::vector<std::string> marked_words(int argc, char** argv) {
  std::vector<std::string> words(argv, argv + argc);
  for (auto& word : words)
    if (needs_mark(word)) word += kMark;
  return words;
}

std::string unmarked(std::string word) {
  std::erase(word, kMark);
  return word;
}

void Arguments::flag(const std::string& names, bool& value, const std::string& help) {
  const auto name = long_name(names);
  const auto take = [&value, name](const std::string& text) {
    if (text != "true") throw cli::usage(name + " takes no value");
    value = true;
  };
  slots_.push_back({.option = app_.add_flag(names), .name = name, .usage = name, .take = take, .repeats = true});
  add_row(names, "", help);
}

void Arguments::option(const std::string& names, const std::string& type, std::string& value, const std::string& help) {
  add_option(names, type, help, [&value](const std::string& text) { value = text; });
}

void Arguments::option(const std::string& names, const std::string& type, std::optional<std::string>& value,
                       const std::string& help) {
  add_option(names, type, help, [&value](const std::string& text) { value = text; });
}

void Arguments::option(const std::string& names, const std::string& type, std::vector<std::string>& values,
                       const std::string& help) {
  add_option(
      names, type, help, [&values](const std::string& text) { values.push_back(text); }, true);
}

void Arguments::option(const std::string& names, const std::string& type, std::optional<std::uint64_t>& value,
                       Range range, const std::string& help) {
  const auto name = long_name(names);
  add_option(names, type, help,
             [name, &value, range](const std::string& text) { value = parse_number(name, text, range); });
}

void Arguments::option(const std::string& names, milliseconds& value, TimeRange range, const std::string& help) {
  const auto name = long_name(names);
  add_option(names, "TIME", help,
             [name, &value, range](const std::string& text) { value = parse_time(name, text, range); });
}

void Arguments::option(const std::string& names, std::optional<milliseconds>& value, const std::string& help) {
  const auto name = long_name(names);
  add_option(names, "TIME", help, [name, &value](const std::string& text) { value = parse_time(name, text, {}); });
}

void Arguments::required() {
  slots_.back().is_required = true;
  usage_ += " " + slots_.back().usage;
}

void Arguments::positional(const std::string& name, std::string& value, const std::string& help) {
  add_positional(name, name, help, [&value](const std::string& text) { value = text; });
  slots_.back().is_required = true;
}

void Arguments::positional(const std::string& name, std::uint64_t& value, const std::string& help) {
  add_positional(name, name, help, [name, &value](const std::string& text) { value = parse_number(name, text, {}); });
  slots_.back().is_required = true;
}

void Arguments::positional(const std::string& name, std::optional<std::string>& value, const std::string& help) {
  add_positional(name, "[" + name + "]", help, [&value](const std::string& text) { value = text; });
}

void Arguments::positional(const std::string& name, std::vector<std::string>& values, const std::string& help) {
  add_positional(
      name, "[" + name + "]...", help, [&values](const std::string& text) { values.push_back(text); }, true);
}

void Arguments::rest(const std::string& name, std::vector<std::string>& values, const std::string& help) {
  rest_ = &values;
  usage_ += " [" + name + "]...";
  rows_.push_back({name, help});
}

void Arguments::take() const {
  for (const auto& slot : slots_) take(slot);
}

void Arguments::take(const Slot& slot) {
  const auto& texts = slot.option->results();
  if (texts.empty() && slot.is_required) throw cli::usage(slot.usage + " is missing");
  if (texts.size() > 1 && !slot.repeats) throw cli::usage(slot.name + " is given more than once");
  for (const auto& marked : texts) {
    const auto text = unmarked(marked);
    if (text.empty() && !slot.may_be_empty) throw cli::usage(slot.name + ": the value is empty");
    slot.take(text);
  }
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

// CLI11 only sorts the words: every option takes one of them each time it is given.
void Arguments::add_option(const std::string& names, const std::string& type, const std::string& help, Take take,
                           bool repeats) {
  const auto name = long_name(names);
  auto* option = app_.add_option(names)->take_all();
  slots_.push_back(
      {.option = option, .name = name, .usage = name + " " + type, .take = std::move(take), .repeats = repeats});
  add_row(names, " " + type, help);
}

void Arguments::add_positional(const std::string& name, const std::string& usage, const std::string& help, Take take,
                               bool repeats) {
  auto* option = app_.add_option(name)->take_all();
  if (repeats) option->expected(-1);
  slots_.push_back({.option = option, .name = name, .usage = name, .take = std::move(take), .repeats = repeats});
  usage_ += " " + usage;
  rows_.push_back({name, help});
}

void Arguments::add_row(const std::string& names, const std::string& value, const std::string& help) {
  const auto comma = names.find(',');
  if (comma == std::string::npos)
    rows_.push_back({"    " + names + value, help});
  else
    rows_.push_back({names.substr(0, comma) + ", " + names.substr(comma + 1) + value, help});
}

}  // namespace hostcall::cli
