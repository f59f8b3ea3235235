// Ends a benchmark whose calls fail.
#pragma once

#include <hostcall/types.h>

#include "tests/bench/harness/client.h"

namespace hostcall::bench {

// Throws with the status's code and text.
[[gnu::cold]] inline void fail(const Status& status) {
  require(false, std::string(code_name(status.code)) + ": " + status.message);
}

inline void require_ok(const Status& status) {
  if (!status.ok()) fail(status);
}

}  // namespace hostcall::bench
