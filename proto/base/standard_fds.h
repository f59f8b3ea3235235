// Descriptors 0 to 2: whoever prints writes there whatever they are, so that they must never be anything else's.
#pragma once

#include "proto/base/unique_fd.h"

namespace hostcall {

// Opens /dev/null on those of 0 to 2 that are closed, the wrong way round: reading standard input and writing the other
// two fails as it would have. The first thing that a program does. Ends the process if the kernel refuses.
void open_standard_fds();

// The descriptor, or one for the same above 2 if it is below: for libraries, whose programs may have 0 to 2 closed.
// Empty, with errno, if there is none.
UniqueFd above_standard_fds(UniqueFd fd);

}  // namespace hostcall
