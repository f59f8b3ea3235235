#include "daemon/store/key.h"

#include <cstdint>

namespace hostcall::daemon::store {
namespace {

constexpr std::string_view kShared = "/shared/";
constexpr std::string_view kVms = "/vm/";

// Takes one character off a text that is not empty. -1: it is not UTF-8 (RFC 3629: shortest form, no surrogates).
std::int32_t take_character(std::string_view& text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(0);
  const std::size_t length = lead < 0x80 ? 1 : lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
  if ((lead >= 0x80 && lead < 0xC2) || lead > 0xF4 || text.size() < length) return -1;
  constexpr std::int32_t kLeadBits[] = {0, 0x7F, 0x1F, 0x0F, 0x07};
  constexpr std::int32_t kLeast[] = {0, 0, 0x80, 0x800, 0x10000};
  std::int32_t character = lead & kLeadBits[length];
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return -1;
    character = character << 6 | (byte(i) & 0x3F);
  }
  if (character < kLeast[length] || character > 0x10FFFF || (character >= 0xD800 && character <= 0xDFFF)) return -1;
  text.remove_prefix(length);
  return character;
}

// C0 with NUL, DEL and C1.
bool is_control(std::int32_t character) { return character < 0x20 || (character >= 0x7F && character < 0xA0); }

std::string check_characters(std::string_view text) {
  while (!text.empty()) {
    const auto character = take_character(text);
    if (character < 0) return "is not UTF-8";
    if (is_control(character)) return "has a control character";
  }
  return {};
}

// `parts` is what follows the first '/'.
std::string check_parts(std::string_view parts) {
  for (;;) {
    const auto end = parts.find('/');
    const auto part = parts.substr(0, end);
    if (part.empty()) return "has an empty part";
    if (part == "." || part == "..") return "has the part \"" + std::string(part) + "\"";
    if (end == std::string_view::npos) return {};
    parts.remove_prefix(end + 1);
  }
}

std::string check_text(std::string_view text, std::size_t max_bytes) {
  if (text.size() > max_bytes)
    return "has " + std::to_string(text.size()) + " bytes, but at most " + std::to_string(max_bytes) + " are allowed";
  if (!text.starts_with('/')) return "does not begin with '/'";
  return check_characters(text);
}

}  // namespace

std::string check_key(std::string_view key, std::size_t max_bytes) {
  if (auto wrong = check_text(key, max_bytes); !wrong.empty()) return wrong;
  if (key.ends_with('/')) return "ends in '/', which a key never does";
  return check_parts(key.substr(1));
}

std::string check_prefix(std::string_view prefix, std::size_t max_bytes) {
  if (auto wrong = check_text(prefix, max_bytes); !wrong.empty()) return wrong;
  if (prefix == "/") return {};
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
