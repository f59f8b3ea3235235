// SHA-256.
#pragma once

#include <string>
#include <string_view>

namespace hostcall::daemon {

// In 64 hexadecimal digits.
std::string sha256(std::string_view text);

}  // namespace hostcall::daemon
