// Text for people: see text.h.
#include "client/cli/text.h"

#include <algorithm>
#include <array>
#include <cstdio>

#include "client/cli/output.h"
#include "proto/base/escape.h"
#include "proto/base/utf8.h"

namespace hostcall::cli {
namespace {

void pad(std::string& out, std::size_t columns) { out.append(columns, ' '); }

constexpr std::size_t kGap = 2;

}  // namespace

std::string printable(std::string_view value) { return escape(value, kWholeText); }

std::string shown(std::string_view value) { return prints_to_terminal() ? printable(value) : std::string(value); }

std::string fixed(double value, int digits) {
  char text[64];
  std::snprintf(text, sizeof text, "%.*f", digits, value);
  return text;
}

std::string format_bytes(std::uint64_t bytes) {
  constexpr std::array kUnits{"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  auto value = static_cast<double>(bytes);
  std::size_t unit = 0;
  for (; value >= 1024 && unit + 1 < kUnits.size(); ++unit) value /= 1024;
  const bool whole = value == static_cast<double>(static_cast<std::uint64_t>(value));
  return fixed(value, whole ? 0 : 1) + " " + kUnits[unit];
}

std::string join(const std::vector<std::string>& parts, std::string_view separator) {
  std::string out;
  for (const auto& part : parts) {
    if (!out.empty()) out += separator;
    out += part;
  }
  return out;
}

std::string wrap(std::string_view text, std::size_t width, std::size_t indent) {
  std::string out;
  std::size_t column = indent;
  while (!text.empty()) {
    const auto end = std::min(text.find(' '), text.size());
    const auto word = text.substr(0, end);
    const bool first = column == indent;
    if (!first && column + 1 + utf8::count(word) > width) {
      out += '\n';
      pad(out, column = indent);
    } else if (!first) {
      out += ' ';
      ++column;
    }
    out += word;
    column += utf8::count(word);
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return out;
}

std::string wrap_paragraphs(std::string_view text, std::size_t width) {
  constexpr std::string_view kGapBetween = "\n\n";
  std::string out;
  while (!text.empty()) {
    const auto end = std::min(text.find(kGapBetween), text.size());
    std::string paragraph(text.substr(0, end));
    while (paragraph.ends_with('\n')) paragraph.pop_back();
    std::ranges::replace(paragraph, '\n', ' ');
    if (!out.empty()) out += '\n';
    out += wrap(paragraph, width, 0) + "\n";
    text.remove_prefix(std::min(end + kGapBetween.size(), text.size()));
  }
  return out;
}

Table::Table(std::initializer_list<std::string> heading) {
  std::vector<std::string> names;
  for (const auto& name : heading) {
    right_.push_back(name.starts_with('>'));
    names.push_back(name.substr(right_.back() ? 1 : 0));
  }
  rows_.push_back(std::move(names));
}

void Table::add(std::vector<std::string> cells) {
  for (auto& cell : cells) cell = escape_message(cell);
  rows_.push_back(std::move(cells));
}

void Table::field(std::string name, std::string value) {
  add({std::move(name), value.empty() ? "-" : std::move(value)});
}

std::vector<std::size_t> Table::widths() const {
  auto widths = least_widths_;
  for (const auto& row : rows_) {
    widths.resize(std::max(widths.size(), row.size()));
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], utf8::count(row[i]));
  }
  return widths;
}

std::string Table::flush() {
  least_widths_ = widths();
  auto text = to_text(least_widths_);
  rows_.clear();
  return text;
}

std::string Table::to_text(const std::vector<std::size_t>& widths) const {
  std::string out;
  for (const auto& row : rows_) {
    for (std::size_t i = 0; i < row.size(); ++i) {
      const auto blanks = widths[i] - utf8::count(row[i]);
      const bool right = i < right_.size() && right_[i];
      if (right) pad(out, blanks);
      out += row[i];
      if (i + 1 < row.size()) pad(out, kGap + (right ? 0 : blanks));
    }
    out += '\n';
  }
  return out;
}

}  // namespace hostcall::cli
