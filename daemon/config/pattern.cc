#include "daemon/config/pattern.h"

#include <array>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

namespace hostcall::daemon {
namespace {

constexpr std::size_t kMaxExpression = 1024;

// A GNU extension to extended expressions, with exponential time.
bool refers_back(std::string_view expression) {
  for (std::size_t i = 0; i + 1 < expression.size(); ++i) {
    if (expression[i] != '\\') continue;
    ++i;
    if (expression[i] >= '1' && expression[i] <= '9') return true;
  }
  return false;
}

Error why(int code, const regex_t& compiled) {
  std::array<char, 128> text{};
  ::regerror(code, &compiled, text.data(), text.size());
  return {0, std::string("not an extended regular expression: ") + text.data()};
}

Result<std::shared_ptr<const regex_t>> compiled(const std::string& expression) {
  auto regex = std::make_unique<regex_t>();
  if (const int code = ::regcomp(regex.get(), expression.c_str(), REG_EXTENDED | REG_NOSUB); code != 0)
    return why(code, *regex);
  return std::shared_ptr<const regex_t>(regex.release(), [](const regex_t* dead) {
    ::regfree(const_cast<regex_t*>(dead));
    delete dead;
  });
}

}  // namespace

Result<Pattern> Pattern::compile(const std::string& expression) {
  if (expression.size() > kMaxExpression) return Error{0, "a regular expression has at most 1024 bytes"};
  if (expression.find('\0') != std::string::npos) return Error{0, "a regular expression has no NUL"};
  if (refers_back(expression)) return Error{0, "a regular expression may not refer back to a group (\\1 to \\9)"};
  // On its own first: "a)(b" would be valid within parentheses.
  if (const auto alone = compiled(expression); !alone.ok()) return alone.error();
  auto anchored = compiled("^(" + expression + ")$");
  if (!anchored.ok()) return anchored.error();
  return Pattern(expression, std::move(anchored).value());
}

bool Pattern::matches(const std::string& text) const {
  if (text.size() > kMaxMatchedBytes || text.find('\0') != std::string::npos) return false;
  return ::regexec(compiled_.get(), text.c_str(), 0, nullptr, 0) == 0;
}

}  // namespace hostcall::daemon
