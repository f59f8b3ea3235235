// Who else could change what the daemon reads.
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>

#include "proto/base/result.h"

namespace hostcall::daemon {

struct Trust {
  std::string_view what = "what hostcalld reads";  // that others could change
  uid_t also = 0;                                  // one more user who may
};

// Refuses a file or directory that others than root and this process's user could change or replace: it, each directory
// up to /, and each link on the way must belong to root or this user, and none may be writable by group or others,
// except sticky directories such as /tmp, where nobody can replace what belongs to others. The error names owner, mode
// and remedy. What does not exist, or can't be looked at, is accepted: who reads it will say so.
Done check_trusted(const std::string& path, const Trust& trust = {});

}  // namespace hostcall::daemon
