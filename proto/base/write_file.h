// Files written as a whole, and, where that is asked for, for certain.
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

// Whether what was done is on the disk when the function returns. kUnsynced outlives this process, not the machine, and
// waits for no disk.
enum class Durability { kSynced, kUnsynced };

// Replaces the file as a whole or not at all. Until then its name is PATH.new; a link of that name is an error.
Done replace_file(const std::string& path, std::string_view bytes, mode_t mode,
                  Durability durability = Durability::kSynced);
// Removes the file; one that is not there is no error. It may be back after a crash of the machine, until
// sync_directory_of() has put this on disk.
Done remove_file(const std::string& path);
// What happened to the names in the directory of `path` is on disk when this returns.
Done sync_directory_of(const std::string& path);
// Makes the directory with exactly this mode, unless there is something of this name.
Done make_directory(const std::string& path, mode_t mode, Durability durability = Durability::kSynced);

}  // namespace hostcall
