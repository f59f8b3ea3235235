// A write that never waits for whoever reads the other end.
#pragma once

#include <string_view>

namespace hostcall {

// Writes at most PIPE_BUF bytes to a pipe, terminal, socket or file, all or none. False: nothing was written, because
// there is no room or no reader. Raises no SIGPIPE on a socket; on a pipe the caller ignores it.
bool try_write(int fd, std::string_view bytes);

}  // namespace hostcall
