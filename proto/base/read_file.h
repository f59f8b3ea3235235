// A whole file as text.
#pragma once

#include <cstddef>
#include <string>

#include "proto/base/result.h"

namespace hostcall {

enum class FileKind {
  kAny,      // a pipe too: waits for whoever writes it
  kRegular,  // else refused; never waits
};

// Reads a file of at most `max_bytes`. The error names the file.
Result<std::string> read_file(const std::string& path, std::size_t max_bytes, FileKind kind = FileKind::kAny);

}  // namespace hostcall
