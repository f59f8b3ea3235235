// Keeps the set of positions in the text that the glob can have reached, so that no pattern takes more steps than its
// length times the text's.
#include "daemon/config/glob.h"

#include <algorithm>
#include <vector>

namespace hostcall::daemon {
namespace {

constexpr std::size_t kMaxGlob = 1024;

// One element of a glob.
struct Token {
  enum class Kind { kByte, kAnyByte, kClass, kRun, kRunWithSlash, kMalformed } kind = Kind::kMalformed;
  char byte = 0;            // kByte
  std::string_view ranges;  // kClass: the text between the brackets, without '!'
  bool negated = false;     // kClass

  bool is_run() const { return kind == Kind::kRun || kind == Kind::kRunWithSlash; }
};

bool in_ranges(std::string_view ranges, unsigned char c) {
  while (!ranges.empty()) {
    const auto low = static_cast<unsigned char>(ranges[0]);
    const bool is_range = ranges.size() >= 3 && ranges[1] == '-';
    const auto high = is_range ? static_cast<unsigned char>(ranges[2]) : low;
    if (c >= low && c <= high) return true;
    ranges.remove_prefix(is_range ? 3 : 1);
  }
  return false;
}

bool has_reversed_range(std::string_view ranges) {
  while (ranges.size() >= 3) {
    const bool is_range = ranges[1] == '-';
    if (is_range && static_cast<unsigned char>(ranges[0]) > static_cast<unsigned char>(ranges[2])) return true;
    ranges.remove_prefix(is_range ? 3 : 1);
  }
  return false;
}

// `glob` starts after the '['.
Token take_class(std::string_view& glob) {
  Token token;
  if ((token.negated = glob.starts_with('!'))) glob.remove_prefix(1);
  // A leading ']' stands for itself, as in the shell.
  const auto end = glob.find(']', 1);
  if (end == std::string_view::npos) return token;
  token.ranges = glob.substr(0, end);
  if (!has_reversed_range(token.ranges)) token.kind = Token::Kind::kClass;
  glob.remove_prefix(end + 1);
  return token;
}

// Removes the first token from a non-empty glob and returns it.
Token take_token(std::string_view& glob) {
  char c = glob.front();
  glob.remove_prefix(1);
  if (c == '[') return take_class(glob);
  if (c == '?') return {.kind = Token::Kind::kAnyByte, .ranges = {}};
  if (c == '*') {
    if (!glob.starts_with('*')) return {.kind = Token::Kind::kRun, .ranges = {}};
    glob.remove_prefix(1);
    return {.kind = Token::Kind::kRunWithSlash, .ranges = {}};
  }
  if (c == '\\') {
    if (glob.empty()) return {};
    c = glob.front();
    glob.remove_prefix(1);
  }
  return {.kind = Token::Kind::kByte, .byte = c, .ranges = {}};
}

bool matches_byte(const Token& token, char c) {
  switch (token.kind) {
    case Token::Kind::kByte: return c == token.byte;
    case Token::Kind::kAnyByte: return c != '/';
    case Token::Kind::kClass:
      return c != '/' && in_ranges(token.ranges, static_cast<unsigned char>(c)) != token.negated;
    default: return false;
  }
}

// The positions of a text that a glob can have reached.
class Positions {
 public:
  explicit Positions(std::string_view text) : text_(text), reached_(text.size() + 1, 0) { reached_[0] = 1; }

  bool none() const { return first_ > last_; }
  bool at_end() const { return reached_.back() != 0; }
  void advance(const Token& token) {
    if (!none()) token.is_run() ? extend(token) : step(token);
  }

 private:
  // Moves each position on by one byte if the token matches it, or drops the position.
  void step(const Token& token) {
    for (std::size_t i = std::min(last_ + 1, text_.size()); i > first_; --i)
      reached_[i] = reached_[i - 1] != 0 && matches_byte(token, text_[i - 1]);
    reached_[first_] = 0;
    last_ = std::min(last_ + 1, text_.size());
    while (first_ <= last_ && reached_[first_] == 0) ++first_;
  }

  // Spreads each position to the right; for a kRun, up to the next '/'.
  void extend(const Token& token) {
    bool reaching = false;
    for (std::size_t i = first_; i <= text_.size(); ++i) {
      reaching = reaching || reached_[i] != 0;
      reached_[i] = reaching;
      if (i < text_.size() && text_[i] == '/' && token.kind == Token::Kind::kRun) reaching = false;
    }
    last_ = text_.size();
  }

  std::string_view text_;
  std::vector<char> reached_;
  std::size_t first_ = 0;  // bounds of the reached positions
  std::size_t last_ = 0;
};

bool is_plain(char c) { return c != '*' && c != '?' && c != '[' && c != '\\'; }

}  // namespace

bool glob_matches(std::string_view glob, std::string_view text) {
  // Fast path: the literal start of nearly every glob decides nearly every case, without allocating.
  while (!glob.empty() && is_plain(glob.front())) {
    if (text.empty() || text.front() != glob.front()) return false;
    glob.remove_prefix(1);
    text.remove_prefix(1);
  }
  if (glob.empty()) return text.empty();
  Positions positions(text);
  while (!glob.empty() && !positions.none()) {
    const auto token = take_token(glob);
    if (token.kind == Token::Kind::kMalformed) return false;
    positions.advance(token);
  }
  return !positions.none() && positions.at_end();
}

// Once the whole start is matched, some text always fits the rest of the glob.
bool glob_matches_below(std::string_view glob, std::string_view start) {
  Positions positions(start);
  while (!glob.empty() && !positions.at_end()) {
    const auto token = take_token(glob);
    if (token.kind == Token::Kind::kMalformed) return false;
    positions.advance(token);
  }
  return positions.at_end();
}

std::string_view literal_start(std::string_view glob) {
  const auto end = std::ranges::find_if_not(glob, is_plain);
  return glob.substr(0, static_cast<std::size_t>(end - glob.begin()));
}

Done check_glob(std::string_view glob) {
  if (glob.empty()) return Error{0, "it is empty; leave \"resources\" out for any resource"};
  if (glob.size() > kMaxGlob)
    return Error{0, "it has " + std::to_string(glob.size()) + " bytes, but at most " + std::to_string(kMaxGlob) +
                        " are allowed"};
  while (!glob.empty())
    if (take_token(glob).kind == Token::Kind::kMalformed)
      return Error{0, "it ends in a single \\, or has a [class] that is not closed or has a range backwards"};
  return done();
}

}  // namespace hostcall::daemon
