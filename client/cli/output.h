// Standard output of the command lines.
#pragma once

#include <string_view>

namespace hostcall::cli {

// Writes the text at once. Throws Failure when it can not be written, so that a full disk is never taken for success.
void print(std::string_view text);
// The same with a line end.
void print_line(std::string_view text);
// "PROGRAM: TEXT" on standard error.
void complain(std::string_view program, std::string_view text);

// A reader that has gone ends the program as it ends every filter, by SIGPIPE, also under parents that ignore
// the signal (systemd does).
void end_with_the_reader();

}  // namespace hostcall::cli
