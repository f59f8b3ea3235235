// Nearest: what somebody who wrote a name that does not exist may have meant.
#pragma once

#include <set>
#include <string>
#include <string_view>

namespace hostcall::daemon {

// The name that is written with the fewest changes, if they are few; empty: none. Takes a time that is proportional to
// the number of names.
std::string nearest(std::string_view wrong, const std::set<std::string, std::less<>>& names);

}  // namespace hostcall::daemon
