// Names of the host's own users, for records about administrators. Reads only /etc/passwd: other sources of users may
// be behind a network, and nothing here may wait. A user of theirs has no name here, only a uid.
#pragma once

#include <sys/types.h>

#include <map>
#include <string>

namespace hostcall::daemon {

class LocalUsers {
 public:
  explicit LocalUsers(std::string file = "/etc/passwd") : file_(std::move(file)) {}
  // Empty: not known. Looks up each uid once.
  const std::string& name_of(uid_t uid);

 private:
  // Few users are administrators.
  static constexpr std::size_t kMaxKept = 64;

  const std::string file_;
  std::map<uid_t, std::string> names_;
};

}  // namespace hostcall::daemon
