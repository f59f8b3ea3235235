// Fuzzes globs against a plain matcher that tries every way: both say the same, and only a glob that is written
// correctly is accepted or matches anything.
//
// Input: one byte for the alphabet, one for the glob's length, then the glob and the text.
#include <optional>
#include <string>
#include <vector>

#include "daemon/config/glob.h"
#include "tests/fuzz/fuzz.h"

namespace hostcall::fuzz {
namespace {

// Within these, every glob and text is compared; the plain matcher takes time and memory for the product.
constexpr std::size_t kMaxGlob = 300;
constexpr std::size_t kMaxText = 300;
constexpr std::size_t kMaxAccepted = 1024;

// What stands between the brackets of a class, and where the glob goes on.
struct Class {
  bool negated = false;
  std::string_view ranges;
  std::size_t end = 0;
};

std::optional<Class> class_at(std::string_view glob, std::size_t at) {
  Class found;
  std::size_t begin = at + 1;
  found.negated = begin < glob.size() && glob[begin] == '!';
  if (found.negated) ++begin;
  const auto end = glob.find(']', begin + 1);
  if (end == std::string_view::npos) return std::nullopt;
  found.ranges = glob.substr(begin, end - begin);
  found.end = end + 1;
  return found;
}

// Calls visit(low, high) for each range of a class; a single character is one of itself.
template <class Visit>
void for_each_range(std::string_view ranges, Visit visit) {
  for (std::size_t i = 0; i < ranges.size();) {
    const bool is_range = i + 2 < ranges.size() && ranges[i + 1] == '-';
    visit(static_cast<unsigned char>(ranges[i]), static_cast<unsigned char>(ranges[is_range ? i + 2 : i]));
    i += is_range ? 3 : 1;
  }
}

bool is_correct(std::string_view glob) {
  for (std::size_t at = 0; at < glob.size();) {
    if (glob[at] == '\\') {
      if (at + 1 == glob.size()) return false;
      at += 2;
    } else if (glob[at] == '[') {
      const auto found = class_at(glob, at);
      bool in_order = true;
      if (found) for_each_range(found->ranges, [&](auto low, auto high) { in_order = in_order && low <= high; });
      if (!found || !in_order) return false;
      at = found->end;
    } else {
      ++at;
    }
  }
  return true;
}

// Matches a correct glob.
class PlainMatcher {
 public:
  PlainMatcher(std::string_view glob, std::string_view text)
      : glob_(glob), text_(text), known_((glob.size() + 1) * (text.size() + 1)) {}

  bool matches(std::size_t glob_at = 0, std::size_t text_at = 0) {
    auto& known = known_[glob_at * (text_.size() + 1) + text_at];
    if (known == Known::kNot) known = try_all(glob_at, text_at) ? Known::kMatch : Known::kNoMatch;
    return known == Known::kMatch;
  }

 private:
  bool try_all(std::size_t at, std::size_t text_at) {
    if (at == glob_.size()) return text_at == text_.size();
    const bool any_left = text_at < text_.size();
    const char c = any_left ? text_[text_at] : '\0';
    const auto one = [&](bool fits, std::size_t next) { return any_left && fits && matches(next, text_at + 1); };
    if (glob_[at] == '*') {
      const bool is_double = at + 1 < glob_.size() && glob_[at + 1] == '*';
      return matches(at + (is_double ? 2 : 1), text_at) || one(is_double || c != '/', at);
    }
    if (glob_[at] == '?') return one(c != '/', at + 1);
    if (glob_[at] == '\\') return one(c == glob_[at + 1], at + 2);
    if (glob_[at] != '[') return one(c == glob_[at], at + 1);
    const auto found = *class_at(glob_, at);
    bool is_in = false;
    for_each_range(found.ranges, [&](unsigned char low, unsigned char high) {
      is_in = is_in || (low <= static_cast<unsigned char>(c) && static_cast<unsigned char>(c) <= high);
    });
    return one(c != '/' && is_in != found.negated, found.end);
  }

  // Not std::optional<bool>: g++ 12.2 at -O2 makes a wrong answer of it (not with -fno-tree-vrp, nor with sanitizers).
  enum class Known : char { kNot, kNoMatch, kMatch };

  std::string_view glob_, text_;
  std::vector<Known> known_;
};

// Few characters, so that globs match.
std::string in_few_characters(std::string_view bytes) {
  constexpr std::string_view kAlphabet = "ab/*?[]!-\\*/a]";
  std::string text;
  for (const char c : bytes) text += kAlphabet[static_cast<unsigned char>(c) % kAlphabet.size()];
  return text;
}

}  // namespace
}  // namespace hostcall::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  using namespace hostcall::fuzz;
  namespace daemon = hostcall::daemon;
  Choices choices(bytes, size);
  const bool few = (choices.byte() & 1) != 0;
  const auto convert = [few](std::string_view raw) { return few ? in_few_characters(raw) : std::string(raw); };
  const auto glob = convert(choices.text());
  const auto text = convert(choices.rest().substr(0, kMaxText));
  const bool correct = is_correct(glob);
  require(daemon::check_glob(glob).ok() == (correct && !glob.empty() && glob.size() <= kMaxAccepted),
          "a glob is accepted if it is correct");
  if (glob.size() > kMaxGlob) return 0;
  const bool matches = daemon::glob_matches(glob, text);
  require(matches == (correct && PlainMatcher(glob, text).matches()), "a glob matches as the plain matcher says");
  require(!matches || text.starts_with(daemon::literal_start(glob)), "a match begins with the literal start");
  return 0;
}
