// Files that the command lines read whole.
#pragma once

#include <string>

#include "proto/base/result.h"

namespace hostcall::cli {

Result<std::string> read_file(const std::string& path);

}  // namespace hostcall::cli
