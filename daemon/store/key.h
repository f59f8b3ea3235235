// Keys: their grammar, and the namespaces that they lie in. A key is a path, "/shared/app/state" or "/vm/NAME/state";
// a prefix that ends in '/' means all keys below it, any other one exactly the key of that name.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "proto/base/result.h"

namespace hostcall::daemon::store {

// The error is what is wrong with the key, to be put behind "the key … ": also for keys as a caller names them
// ("/self/app/state"). At most `max_bytes` bytes of UTF-8 without control characters; begins with '/'; no part is
// empty, "." or "..".
Done check_key(std::string_view key, std::size_t max_bytes);
// The same for a prefix: a key, or one with a '/' behind it, or "/".
Done check_prefix(std::string_view prefix, std::size_t max_bytes);

// Whether the prefix means the key (among others).
bool covers(std::string_view prefix, std::string_view key);

// "/shared/" or "/vm/NAME/": where a key of the store, or all that a prefix covers, lies. Empty: nowhere, as
// "/shared" or "/other/x", or above the namespaces, as "/" and "/vm/". The view is into the argument.
std::string_view namespace_of(std::string_view key_or_prefix);
// NAME of "/vm/NAME/…"; empty for any other key.
std::string_view vm_of(std::string_view key);
// "/vm/NAME/".
std::string vm_prefix(std::string_view vm);

}  // namespace hostcall::daemon::store
