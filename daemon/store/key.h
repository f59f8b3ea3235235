// Keys: their grammar and their namespaces. A key is a path, "/shared/app/state" or "/vm/NAME/state". A prefix that
// ends in '/' covers all keys below it; any other prefix covers exactly the key of that name.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "proto/base/result.h"

namespace hostcall::daemon::store {

// Checks a key, also as a caller names it ("/self/app/state"): at most `max_bytes` bytes of UTF-8 without control
// characters; begins with '/'; no part is empty, "." or "..". The error completes a sentence that begins with "the key
// … ".
Done check_key(std::string_view key, std::size_t max_bytes);
// Checks a prefix in the same way: a key, a key followed by '/', or "/".
Done check_prefix(std::string_view prefix, std::size_t max_bytes);

// Whether the prefix covers the key.
bool covers(std::string_view prefix, std::string_view key);

// "/shared/" or "/vm/NAME/": the namespace of a key of the store, or of everything that a prefix covers. Empty: in no
// namespace, like "/shared" or "/other/x", or above the namespaces, like "/" and "/vm/". The view points into the
// argument.
std::string_view namespace_of(std::string_view key_or_prefix);
// NAME of "/vm/NAME/…"; empty for any other key.
std::string_view vm_of(std::string_view key);
// "/vm/NAME/".
std::string vm_prefix(std::string_view vm);

}  // namespace hostcall::daemon::store
