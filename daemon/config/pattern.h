// Pattern: a POSIX extended regular expression that must match a whole text, for the arguments of a host's programs.
#pragma once

#include <regex.h>

#include <memory>
#include <string>
#include <utility>

#include "proto/base/result.h"

namespace hostcall::daemon {

// The most bytes of a text to match, which also bounds the time.
inline constexpr std::size_t kMaxMatchedBytes = 4096;

class Pattern {
 public:
  // Refuses what is not an extended regular expression of at most 1,024 bytes; references back to a group, which a
  // guest could make match for ages; and what other languages understand differently, such as "\d" and "+?".
  static Result<Pattern> compile(const std::string& expression);

  const std::string& expression() const { return expression_; }
  // Bytes are compared as they are, whatever their encoding. A text with a NUL, or of more than kMaxMatchedBytes, never
  // matches.
  bool matches(const std::string& text) const;

 private:
  Pattern(std::string expression, std::shared_ptr<const regex_t> compiled)
      : expression_(std::move(expression)), compiled_(std::move(compiled)) {}

  std::string expression_;
  std::shared_ptr<const regex_t> compiled_;
};

}  // namespace hostcall::daemon
