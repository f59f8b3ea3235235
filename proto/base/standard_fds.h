// Descriptors 0 to 2: whoever prints writes there whatever they are, so that they must never be anything else's.
#pragma once

#include <string_view>

#include "proto/base/result.h"
#include "proto/base/unique_fd.h"

namespace hostcall {

// Opens /dev/null on those of 0 to 2 that are closed, the wrong way round: reading standard input and writing the other
// two fails as it would have. The first thing that a program does. Ends the process if the kernel refuses.
void open_standard_fds();

// Adopts what a system call has just returned, -1 with errno for a failure that was `what`. A descriptor below 3 is
// moved above 2: for libraries, whose programs may have 0 to 2 closed.
Result<UniqueFd> adopt_above_standard_fds(int fd, std::string_view what);

}  // namespace hostcall
