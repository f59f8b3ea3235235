// Text for people: see text.h.
#include "client/cli/text.h"

#include <algorithm>
#include <array>
#include <cstdio>

namespace hostcall::cli {
namespace {

bool is_continuation(char byte) { return (static_cast<unsigned char>(byte) & 0xC0) == 0x80; }

// Smallest code point that a UTF-8 sequence of each length may hold; shorter forms are forbidden.
constexpr std::array<std::uint32_t, 5> kSmallest{0, 0, 0x80, 0x800, 0x10000};

std::size_t sequence_length(unsigned char lead) {
  if (lead < 0x80) return 1;
  if (lead >= 0xC2 && lead < 0xE0) return 2;
  if (lead >= 0xE0 && lead < 0xF0) return 3;
  return lead >= 0xF0 && lead < 0xF5 ? 4 : 0;
}

// C0, DEL and C1 control characters drive terminals; U+202A.. and U+2066.. change the order of what is shown.
bool is_harmless(std::uint32_t point) {
  if (point < 0x20 || (point >= 0x7F && point < 0xA0)) return false;
  return !(point >= 0x202A && point <= 0x202E) && !(point >= 0x2066 && point <= 0x2069);
}

// Bytes of the harmless character that the text starts with; 0: there is none.
std::size_t harmless_prefix(std::string_view text) {
  const auto lead = static_cast<unsigned char>(text[0]);
  const auto length = sequence_length(lead);
  if (length == 0 || length > text.size()) return 0;
  std::uint32_t point = length == 1 ? lead : lead & (0x7Fu >> length);
  for (std::size_t i = 1; i < length; ++i) {
    if (!is_continuation(text[i])) return 0;
    point = point << 6 | (static_cast<unsigned char>(text[i]) & 0x3F);
  }
  const bool valid = point >= kSmallest[length] && point <= 0x10FFFF && !(point >= 0xD800 && point < 0xE000);
  return valid && is_harmless(point) ? length : 0;
}

void append_escaped(std::string& out, char byte) {
  char escaped[5];
  std::snprintf(escaped, sizeof escaped, "\\x%02x", static_cast<unsigned>(static_cast<unsigned char>(byte)));
  out += escaped;
}

void pad(std::string& out, std::size_t columns) { out.append(columns, ' '); }

constexpr std::size_t kGap = 2;

}  // namespace

std::string printable(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const auto length = harmless_prefix(text);
    if (length == 0)
      append_escaped(out, text[0]);
    else
      out += text.substr(0, length);
    text.remove_prefix(std::max<std::size_t>(length, 1));
  }
  return out;
}

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

std::size_t width_of(std::string_view text) {
  return static_cast<std::size_t>(std::ranges::count_if(text, [](char byte) { return !is_continuation(byte); }));
}

std::string wrap(std::string_view text, std::size_t width, std::size_t indent) {
  std::string out;
  std::size_t column = indent;
  while (!text.empty()) {
    const auto end = std::min(text.find(' '), text.size());
    const auto word = text.substr(0, end);
    const bool first = column == indent;
    if (!first && column + 1 + width_of(word) > width) {
      out += '\n';
      pad(out, column = indent);
    } else if (!first) {
      out += ' ';
      ++column;
    }
    out += word;
    column += width_of(word);
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
  for (auto& cell : cells) cell = printable(cell);
  rows_.push_back(std::move(cells));
}

void Table::field(std::string name, std::string value) {
  add({std::move(name), value.empty() ? "-" : std::move(value)});
}

std::string Table::to_string() const {
  std::vector<std::size_t> widths;
  for (const auto& row : rows_) {
    widths.resize(std::max(widths.size(), row.size()));
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], width_of(row[i]));
  }
  std::string out;
  for (const auto& row : rows_) {
    for (std::size_t i = 0; i < row.size(); ++i) {
      const auto blanks = widths[i] - width_of(row[i]);
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
