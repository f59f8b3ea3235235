#include "client/lib/server_trust.h"

#include <pwd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <optional>

namespace hostcall::server {
namespace {

constexpr uid_t kRoot = 0;

std::optional<uid_t> uid_of(const std::string& user) {
  if (user.empty()) return std::nullopt;
  std::vector<char> buffer(1024);
  passwd entry{};
  passwd* found = nullptr;
  while (::getpwnam_r(user.c_str(), &entry, buffer.data(), buffer.size(), &found) == ERANGE)
    buffer.resize(buffer.size() * 2);
  return found == nullptr ? std::nullopt : std::optional(entry.pw_uid);
}

std::string value_of(const wire::RequestView& request, std::string_view key) {
  return std::string(request.metadata(key).value_or(""));
}

}  // namespace

Trust::Trust(const ServerOptions& options) : user_(options.hostcall_user), uids_(options.trusted_uids) {
  uids_.push_back(kRoot);
  if (const auto uid = uid_of(user_)) {
    has_user_ = true;
    uids_.push_back(*uid);
  }
}

bool Trust::trusts(uid_t uid) const { return std::ranges::find(uids_, uid) != uids_.end(); }

wire::Status Trust::refusal(uid_t uid) const {
  std::string trusted = "root";
  if (has_user_) trusted += ", the user " + user_;
  if (!has_user_ && !user_.empty()) trusted += " (there is no user " + user_ + " here)";
  return {wire::Code::kPermissionDenied,
          "this service is for virtual machines: it takes calls from hostcalld only, which is to run as " + trusted +
              " or as a uid of the service's trusted_uids, but the caller's uid is " + std::to_string(uid) +
              "; to serve it, name its uid there, or set require_hostcall to false"};
}

Caller caller_of(const wire::RequestView& request) {
  return {.vm = value_of(request, "hostcall-vm"),
          .uuid = value_of(request, "hostcall-vm-uuid"),
          .incarnation = value_of(request, "hostcall-incarnation"),
          .evidence = value_of(request, "hostcall-evidence")};
}

std::uint64_t call_id_of(const wire::RequestView& request) {
  const auto text = request.metadata("hostcall-call-id").value_or("");
  std::uint64_t id = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), id);
  return error == std::errc() && end == text.data() + text.size() ? id : 0;
}

}  // namespace hostcall::server
