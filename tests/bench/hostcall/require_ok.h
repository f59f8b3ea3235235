// Ends a benchmark whose calls fail.
#pragma once

#include <hostcall/types.h>

#include "tests/bench/harness/client.h"

namespace hostcall::bench {

// Throws with the status's code and text unless it is OK.
inline void require_ok(const Status& status) {
  if (!status.ok()) require(false, std::string(code_name(status.code)) + ": " + status.message);
}

}  // namespace hostcall::bench
