// A write that never waits for whoever reads the other end.
#pragma once

#include <string_view>

namespace hostcall {

// Writes at most PIPE_BUF bytes to a pipe, terminal, socket or file, all or none. False: nothing was written, because
// there is no room or no reader. Raises no SIGPIPE on a socket; on a pipe the caller ignores it.
[[nodiscard]] bool try_write(int fd, std::string_view bytes);

// The same to standard error, for last words: if nobody takes them, there is nobody left to tell.
void try_to_say(std::string_view text);

}  // namespace hostcall
