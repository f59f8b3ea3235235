// Globs: how policy rules name resources, which are paths with '/' between their parts.
#pragma once

#include <string_view>

#include "proto/base/result.h"

namespace hostcall::daemon {

// Whether a glob matches: * any run without '/', ** any run, ? one byte except '/', [a-z] and [!a-z] classes, which
// never match '/', \ escapes. Linear in the product of both lengths, never exponential. A malformed glob matches
// nothing.
bool glob_matches(std::string_view glob, std::string_view text);
// The start of the glob that stands for itself, up to the first *, ?, [ or \\: all that the glob matches starts with
// it.
std::string_view literal_start(std::string_view glob);
// Whether the glob matches any text that starts with `start`.
bool glob_matches_below(std::string_view glob, std::string_view start);
// Refuses a malformed glob.
Done check_glob(std::string_view glob);

}  // namespace hostcall::daemon
