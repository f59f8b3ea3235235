// Text for people: tables, wrapped paragraphs, sizes, and foreign text made harmless before it reaches a terminal.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "proto/base/count.h"

namespace hostcall::cli {

// A value of others (a key, a name, a path), whole, as escape() writes it.
std::string printable(std::string_view value);
// The same where it is printed on its own: in a pipe or a file as it is, so that programs can use it again.
std::string shown(std::string_view value);

// A number with that many digits after the point.
std::string fixed(double value, int digits);
// "512 B", "1.5 KiB", "256 MiB".
std::string format_bytes(std::uint64_t bytes);
std::string join(const std::vector<std::string>& parts, std::string_view separator);

// Breaks the text at blanks so that no line has more than `width` code points; every line but the first starts with
// `indent` blanks.
std::string wrap(std::string_view text, std::size_t width, std::size_t indent);

// Wraps paragraphs, which empty lines separate; each ends with a line end. Line ends within them are blanks.
std::string wrap_paragraphs(std::string_view text, std::size_t width);

// Columns that help and findings are wrapped to.
inline constexpr std::size_t kTerminalWidth = 80;

// Rows in aligned columns. Makes cells harmless; a backslash stays, because some values are escaped already.
class Table {
 public:
  Table() = default;
  // With a heading in upper case. A heading that starts with '>' stands for a column of numbers, aligned right.
  explicit Table(std::initializer_list<std::string> heading);

  void add(std::vector<std::string> cells);
  // "name  value" of a table without heading; an empty value is shown as "-".
  void field(std::string name, std::string value);
  std::string to_string() const { return to_text(widths()); }
  // The text of the rows so far, which it forgets; the columns of those that follow are at least as wide. For lists
  // that come in parts.
  std::string flush();

 private:
  std::vector<std::size_t> widths() const;
  std::string to_text(const std::vector<std::size_t>& widths) const;

  std::vector<std::size_t> least_widths_;
  std::vector<std::vector<std::string>> rows_;
  std::vector<bool> right_;
};

}  // namespace hostcall::cli
