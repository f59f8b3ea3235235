#include "daemon/services/os_release.h"

#include <algorithm>

#include "proto/base/utf8.h"

namespace hostcall::daemon {
namespace {

constexpr std::string_view kBlanks = " \t\r";

std::string_view trim(std::string_view line) {
  const auto first = line.find_first_not_of(kBlanks);
  if (first == std::string_view::npos) return {};
  return line.substr(first, line.find_last_not_of(kBlanks) - first + 1);
}

// What a backslash escapes: anything outside quotes, these four within double quotes, nothing within single ones.
bool is_escaped(char quote, char next) {
  if (quote == '\'') return false;
  return quote == '\0' || std::string_view("\"\\$`").find(next) != std::string_view::npos;
}

// Quoted and unquoted parts may follow each other, as in a shell.
std::string unquote(std::string_view text) {
  std::string value;
  char quote = '\0';
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '\\' && i + 1 < text.size() && is_escaped(quote, text[i + 1])) {
      value += text[++i];
    } else if (quote != '\0' ? c == quote : c == '"' || c == '\'') {
      quote = quote == '\0' ? c : '\0';
    } else {
      value += c;
    }
  }
  return value;
}

}  // namespace

std::optional<std::string> os_release_value(std::string_view text, std::string_view variable) {
  std::optional<std::string_view> found;
  while (!text.empty()) {
    const auto end = std::min(text.find('\n'), text.size());
    const auto line = trim(text.substr(0, end));
    if (line.starts_with(variable) && line.substr(variable.size()).starts_with('='))
      found = line.substr(variable.size() + 1);
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  if (!found) return std::nullopt;
  return utf8::replace_invalid(unquote(*found));
}

std::string pretty_name(std::string_view os_release) {
  auto name = os_release_value(os_release, "PRETTY_NAME").value_or("");
  return name.empty() ? "Linux" : name;
}

}  // namespace hostcall::daemon
