#include "daemon/config/pattern.h"

#include <algorithm>
#include <array>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "proto/base/escape.h"

namespace hostcall::daemon {
namespace {

constexpr std::size_t kMaxExpression = 1024;

// What POSIX leaves undefined and regcomp() takes for something else than other languages do: the pattern would allow
// what its author did not mean. References back are a GNU extension, with exponential time.
class Traps {
 public:
  explicit Traps(std::string_view expression) : rest_(expression) {}

  Done check() {
    while (!rest_.empty()) {
      if (rest_.front() == '\\')
        HOSTCALL_TRY(check_escape());
      else if (rest_.front() == '[')
        HOSTCALL_TRY(check_bracket());
      else
        HOSTCALL_TRY(check_repetition());
    }
    return done();
  }

 private:
  static bool is_alphanumeric(char c) { return is_digit(c) || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z'); }
  static bool is_digit(char c) { return c >= '0' && c <= '9'; }
  static bool repeats(char c) { return c == '*' || c == '+' || c == '?'; }
  char second() const { return rest_.size() > 1 ? rest_[1] : '\0'; }
  void skip(std::size_t bytes) { rest_.remove_prefix(std::min(bytes, rest_.size())); }
  std::string escape_text() const { return in_quotes(rest_.substr(0, 2)); }

  Done check_escape() {
    const char c = second();
    if (c >= '1' && c <= '9') return Error{0, "a regular expression may not refer back to a group (\\1 to \\9)"};
    // Those of GNU mean what they mean elsewhere.
    if (is_alphanumeric(c) && std::string_view("wWsSbB").find(c) == std::string_view::npos)
      return Error{0, escape_text() + " would be no more than the character " + in_quotes(rest_.substr(1, 1)) +
                          " in an extended regular expression" + (c == 'd' ? "; write [0-9]" : "")};
    skip(2);
    return done();
  }
  // From "[" to the "]" that ends it, which is none at its beginning, and none within [:alpha:].
  Done check_bracket() {
    skip(1);
    if (rest_.starts_with('^')) skip(1);
    if (rest_.starts_with(']')) skip(1);
    while (!rest_.empty() && rest_.front() != ']') {
      if (rest_.front() == '\\' && is_alphanumeric(second()))
        return Error{0, "within [...] a backslash is itself, so " + escape_text() +
                            " would be two characters; write [0-9], [[:alnum:]_] or [[:space:]], and a backslash last"};
      if (rest_.front() == '[' && std::string_view(":.=").find(second()) != std::string_view::npos)
        skip_class(std::string{second(), ']'});
      else
        skip(1);
    }
    skip(1);
    return done();
  }
  void skip_class(const std::string& end) {
    const auto at = rest_.find(end, 2);
    skip(at == std::string_view::npos ? rest_.size() : at + end.size());
  }
  // "+?" is no reluctant "+": it matches nothing, too.
  Done check_repetition() {
    if (repeats(rest_.front()) && repeats(second()))
      return Error{0, escape_text() + ": an extended regular expression repeats once, and always as often as it can"};
    skip(1);
    return done();
  }

  std::string_view rest_;
};

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
  HOSTCALL_TRY(Traps(expression).check());
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
