// Standard output and standard error of the command lines.
#pragma once

#include <poll.h>

#include <string_view>

namespace hostcall::cli {

// Writes the text at once. Throws Failure when it can not be written, so that a full disk is never taken for success.
void print(std::string_view text);
// The same with a line end.
void print_line(std::string_view text);
// "PROGRAM: TEXT" on standard error. Needs no memory.
void complain(std::string_view program, std::string_view text);

// Whether what is printed is seen by a person.
bool prints_to_terminal();

// For poll(2): has an event once whoever reads standard output has gone, so that a verb that waits need not wait until
// it has something to print.
pollfd loss_of_reader();

// Makes SIGPIPE and SIGCHLD what they are by default, also under parents that ignore them (systemd does): a reader that
// has gone ends the program as it ends every filter, and the ends of children can be waited for.
void reset_signals();

// Ends the process by this signal.
[[noreturn]] void die_of(int signal);

}  // namespace hostcall::cli
