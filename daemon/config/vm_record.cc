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

// Requires one spelling per socket. Otherwise two records could name the same socket without a clash.
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

Done check_tags(const std::vector<std::string>& tags) {
  if (tags.size() > kMaxTags)
    return Error{
        0, "has " + std::to_string(tags.size()) + " tags, but at most " + std::to_string(kMaxTags) + " are allowed"};
  std::set<std::string_view> seen;
  for (const auto& tag : tags) {
    if (!is_name(tag)) return Error{0, "tag " + in_quotes(tag) + " must have the form " + kNameForm};
    if (!seen.insert(tag).second) return Error{0, "tag " + in_quotes(tag) + " is given twice"};
  }
  return done();
}

Done check_cid(std::uint32_t cid) {
  if (cid == 0 || (cid > net::kCidHost && cid != net::kCidAny)) return done();
  return Error{0, "cid " + std::to_string(cid) + " is never a guest's; a guest has one from " +
                      std::to_string(net::kCidHost + 1) + " to " + std::to_string(net::kCidAny - 1)};
}

Done check_path(const std::string& path) {
  if (path.empty()) return done();
  if (!is_plain(path)) return Error{0, "unix_path " + in_quotes(path) + " must be UTF-8 without control characters"};
  HOSTCALL_TRY(net::Address::at_path(path).within("unix_path"));
  if (path.starts_with('/') && !is_canonical(path))
    return Error{0, "unix_path " + in_quotes(path) +
                        " must be written without \"//\", \"/./\", \"/../\" and a \"/\" at its end"};
  return done();
}

Done check_all_but_name(const VmRecord& record) {
  if (!record.uuid.empty() && !is_uuid(record.uuid))
    return Error{0, "uuid " + in_quotes(record.uuid) + " must have the form " + std::string(kUuidForm) +
                        " in lower-case hexadecimal"};
  HOSTCALL_TRY(check_tags(record.tags));
  HOSTCALL_TRY(check_cid(record.cid));
  HOSTCALL_TRY(check_path(record.unix_path));
  if (record.cid == 0 && record.unix_path.empty() && !record.vmm_uid)
    return Error{0,
                 "nothing to recognise it by; give it a cid (AF_VSOCK), a unix_path (a listener of its own), or a "
                 "vmm_uid (hostcalld makes the listener)"};
  // The mode of a socket file keeps others out; an abstract socket has none.
  if (record.unix_path.starts_with('@') && !record.vmm_uid)
    return Error{0, "unix_path " + in_quotes(record.unix_path) +
                        " is abstract, so every process of this host could connect; give the VM a vmm_uid, or a path"};
  return check_limit_values(record.limits);
}

}  // namespace

bool is_name(std::string_view text) {
  return !text.empty() && text.size() <= kMaxName && is_lower_or_digit(text.front()) &&
         std::ranges::all_of(text, [](char c) { return is_lower_or_digit(c) || c == '_' || c == '.' || c == '-'; });
}

bool is_uuid(std::string_view text) {
  return std::ranges::equal(text, kUuidForm,
                            [](char c, char form) { return form == 'x' ? is_lower_hex(c) : c == form; });
}

Done check_record(const VmRecord& record) {
  if (!is_name(record.name)) return Error{0, "VM name " + in_quotes(record.name) + " must have the form " + kNameForm};
  return check_all_but_name(record).within("VM " + in_quotes(record.name));
}

Limits limits_of(const VmRecord& record, const Limits& defaults) { return with_values(defaults, record.limits); }

Done check_limits_of(const VmRecord& record, const Limits& defaults) {
  return check_limits(limits_of(record, defaults)).within("VM \"" + record.name + "\"");
}

}  // namespace hostcall::daemon
