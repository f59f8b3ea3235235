// Files written as a whole, and for certain.
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>

#include "proto/base/result.h"

namespace hostcall {

// Writes all of it to a file. The error does not name the file.
Done write_all(int fd, std::string_view bytes);

// Gives a file that is written the name `path`, in the same directory: the old one of that name is replaced as a whole
// or not at all. On success both the file and its name are on disk. `fd` is the file, `unfinished` its present name.
Done move_into_place(int fd, const std::string& unfinished, const std::string& path);

// Replaces the file as a whole or not at all; on success it is on disk. Until then its name is PATH.new.
Done replace_file(const std::string& path, std::string_view bytes, mode_t mode);

}  // namespace hostcall
