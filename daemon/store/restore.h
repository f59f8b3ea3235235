// Puts a copy in the place of the store, while no hostcalld uses it.
#pragma once

#include <string>

namespace hostcall::daemon::store {

// Copies what can be read from the descriptor, checks that it is a whole store that this version can use, and puts it
// in the place of the store at `path`, which becomes "PATH.before-YYYYMMDDTHHMMSSZ". Returns that name; empty: there
// was none. Throws std::runtime_error, with a text for the operator; then the store is as before. A crash leaves the
// old store or the new one.
std::string restore_store(int copy, const std::string& path);

}  // namespace hostcall::daemon::store
