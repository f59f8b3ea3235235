#include "daemon/store/key.h"

#include "proto/base/utf8.h"

namespace hostcall::daemon::store {
namespace {

constexpr std::string_view kShared = "/shared/";
constexpr std::string_view kVms = "/vm/";

// C0 including NUL, DEL and C1.
bool is_control(char32_t point) { return point < 0x20 || (point >= 0x7F && point < 0xA0); }

Done check_characters(std::string_view text) {
  while (!text.empty()) {
    const auto point = utf8::decode(text);
    if (!point) return Error{0, "is not UTF-8"};
    if (is_control(point->value)) return Error{0, "has a control character"};
    text.remove_prefix(point->bytes);
  }
  return done();
}

// `parts` is what follows the first '/'.
Done check_parts(std::string_view parts) {
  for (;;) {
    const auto end = parts.find('/');
    const auto part = parts.substr(0, end);
    if (part.empty()) return Error{0, "has an empty part"};
    if (part == "." || part == "..") return Error{0, "has the part \"" + std::string(part) + "\""};
    if (end == std::string_view::npos) return done();
    parts.remove_prefix(end + 1);
  }
}

Done check_text(std::string_view text, std::size_t max_bytes) {
  if (text.size() > max_bytes)
    return Error{
        0, "has " + std::to_string(text.size()) + " bytes, but at most " + std::to_string(max_bytes) + " are allowed"};
  if (!text.starts_with('/')) return Error{0, "does not begin with '/'"};
  return check_characters(text);
}

}  // namespace

Done check_key(std::string_view key, std::size_t max_bytes) {
  HOSTCALL_TRY(check_text(key, max_bytes));
  if (key.ends_with('/')) return Error{0, "ends in '/', which a key never does"};
  return check_parts(key.substr(1));
}

Done check_prefix(std::string_view prefix, std::size_t max_bytes) {
  HOSTCALL_TRY(check_text(prefix, max_bytes));
  if (prefix == "/") return done();
  prefix.remove_prefix(1);
  if (prefix.ends_with('/')) prefix.remove_suffix(1);
  return check_parts(prefix);
}

bool covers(std::string_view prefix, std::string_view key) {
  return prefix.ends_with('/') ? key.size() > prefix.size() && key.starts_with(prefix) : key == prefix;
}

std::string_view namespace_of(std::string_view key_or_prefix) {
  if (key_or_prefix.starts_with(kShared)) return key_or_prefix.substr(0, kShared.size());
  if (!key_or_prefix.starts_with(kVms)) return {};
  const auto end = key_or_prefix.find('/', kVms.size());
  if (end == std::string_view::npos || end == kVms.size()) return {};
  return key_or_prefix.substr(0, end + 1);
}

std::string_view vm_of(std::string_view key) {
  if (!key.starts_with(kVms)) return {};
  auto space = namespace_of(key);
  if (space.empty()) return {};
  space.remove_prefix(kVms.size());
  space.remove_suffix(1);
  return space;
}

std::string vm_prefix(std::string_view vm) { return std::string(kVms).append(vm) += '/'; }

}  // namespace hostcall::daemon::store
