#include "daemon/vms/local_users.h"

#include <pwd.h>

#include <cstdio>
#include <memory>
#include <vector>

namespace hostcall::daemon {
namespace {

constexpr std::size_t kMaxLine = 4096;

std::string look_up(const std::string& file, uid_t uid) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> users(std::fopen(file.c_str(), "re"), std::fclose);
  if (!users) return {};
  std::vector<char> line(kMaxLine);
  passwd user{};
  for (passwd* found = nullptr; ::fgetpwent_r(users.get(), &user, line.data(), line.size(), &found) == 0;)
    if (user.pw_uid == uid) return user.pw_name;
  return {};
}

}  // namespace

const std::string& LocalUsers::name_of(uid_t uid) {
  if (names_.size() >= kMaxKept && !names_.contains(uid)) names_.clear();
  const auto [at, is_new] = names_.try_emplace(uid);
  if (is_new) at->second = look_up(file_, uid);
  return at->second;
}

}  // namespace hostcall::daemon
