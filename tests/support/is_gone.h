// Whether a process has ended.
#pragma once

#include <sys/types.h>

#include <string>

#include "proto/base/read_file.h"

namespace hostcall::test {

// A zombie counts: nobody may have reaped it yet. One look only, because the process may go between two.
inline bool is_gone(pid_t pid) {
  constexpr std::size_t kMostBytes = 4096;
  const auto stat = read_file("/proc/" + std::to_string(pid) + "/stat", kMostBytes);
  return !stat.ok() || stat->find(") Z") != std::string::npos;
}

}  // namespace hostcall::test
