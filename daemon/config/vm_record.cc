#include "daemon/config/vm_record.h"

#include <algorithm>
#include <set>
#include <string_view>

#include "proto/base/escape.h"
#include "proto/net/address.h"

namespace hostcall::daemon {
namespace {

constexpr std::size_t kMaxName = 64;
constexpr char kNameForm[] = "[a-z0-9][a-z0-9_.-]{0,63}";
constexpr std::string_view kUuidForm = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";

bool is_lower_or_digit(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }
bool is_lower_hex(char c) { return (c >= 'a' && c <= 'f') || (c >= '0' && c <= '9'); }

bool is_uuid(std::string_view text) {
  return std::ranges::equal(text, kUuidForm,
                            [](char c, char form) { return form == 'x' ? is_lower_hex(c) : c == form; });
}

// One path for one socket: otherwise two records could mean the same one and not clash.
bool is_canonical(std::string_view path) {
  if (path.ends_with('/')) return false;
  for (std::size_t at = 1; at <= path.size();) {
    const auto end = std::min(path.find('/', at), path.size());
    const auto part = path.substr(at, end - at);
    if (part.empty() || part == "." || part == "..") return false;
    at = end + 1;
  }
  return true;
}

std::string check_tags(const std::vector<std::string>& tags) {
  if (tags.size() > kMaxTags)
    return "has " + std::to_string(tags.size()) + " tags, but at most " + std::to_string(kMaxTags) + " are allowed";
  std::set<std::string_view> seen;
  for (const auto& tag : tags) {
    if (!is_name(tag)) return "tag " + in_quotes(tag) + " must have the form " + kNameForm;
    if (!seen.insert(tag).second) return "tag " + in_quotes(tag) + " is there twice";
  }
  return {};
}

std::string check_cid(std::uint32_t cid) {
  if (cid == 0 || (cid > net::kCidHost && cid != net::kCidAny)) return {};
  return "cid " + std::to_string(cid) + " is never a guest's; a guest has one from " +
         std::to_string(net::kCidHost + 1) + " to " + std::to_string(net::kCidAny - 1);
}

std::string check_path(const std::string& path) {
  if (path.empty()) return {};
  if (!is_plain(path)) return "unix_path " + in_quotes(path) + " must be UTF-8 without control characters";
  if (const auto address = net::Address::parse("unix:" + path); !address.ok())
    return "unix_path: " + address.error().message();
  if (path.starts_with('/') && !is_canonical(path))
    return "unix_path " + in_quotes(path) + " must be written without \"//\", \"/./\", \"/../\" and a \"/\" at its end";
  return {};
}

std::string find_problem(const VmRecord& record) {
  if (!record.uuid.empty() && !is_uuid(record.uuid))
    return "uuid " + in_quotes(record.uuid) + " must have the form " + std::string(kUuidForm) +
           " in lower-case hexadecimal";
  if (auto problem = check_tags(record.tags); !problem.empty()) return problem;
  if (auto problem = check_cid(record.cid); !problem.empty()) return problem;
  if (auto problem = check_path(record.unix_path); !problem.empty()) return problem;
  if (record.cid == 0 && record.unix_path.empty())
    return "nothing to recognise it by; give it a cid (AF_VSOCK) or a unix_path (a listener of its own)";
  if (record.vmm_uid && record.unix_path.empty())
    return "vmm_uid is only known of peers on a Unix socket; give it a unix_path too";
  return check_limit_values(record.limits);
}

}  // namespace

bool is_name(std::string_view text) {
  return !text.empty() && text.size() <= kMaxName && is_lower_or_digit(text.front()) &&
         std::ranges::all_of(text, [](char c) { return is_lower_or_digit(c) || c == '_' || c == '.' || c == '-'; });
}

std::string check_record(const VmRecord& record) {
  if (!is_name(record.name)) return "VM name " + in_quotes(record.name) + " must have the form " + kNameForm;
  const auto problem = find_problem(record);
  return problem.empty() ? problem : "VM " + in_quotes(record.name) + ": " + problem;
}

Limits limits_of(const VmRecord& record, const Limits& defaults) { return with_values(defaults, record.limits); }

}  // namespace hostcall::daemon
