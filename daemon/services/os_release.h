// The name of the operating system from os-release(5), which is a list of shell assignments.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace hostcall::daemon {

// The value that a shell would give the variable: without quotes and escapes, the last of several assignments. Bytes
// that are not UTF-8 become U+FFFD, because a message of protobuf can't hold them. A quote that its line does not close
// ends with the line. Nothing: the variable is not assigned.
std::optional<std::string> os_release_value(std::string_view text, std::string_view variable);

// PRETTY_NAME; "Linux", os-release(5)'s default, if it is missing or empty.
std::string pretty_name(std::string_view os_release);

}  // namespace hostcall::daemon
