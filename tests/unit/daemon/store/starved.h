// A store that gets no room on its disk, or no memory, for a while.
#pragma once

#include <sqlite3.h>
#include <sys/types.h>

#include <cerrno>

namespace hostcall::daemon::store {

// While it lives, SQLite's writes find the disk full. The writer must be idle when it begins and ends.
class FullDisk {
 public:
  FullDisk() { set(reinterpret_cast<sqlite3_syscall_ptr>(&refuse)); }
  ~FullDisk() { set(nullptr); }
  FullDisk(const FullDisk&) = delete;
  FullDisk& operator=(const FullDisk&) = delete;

 private:
  static ssize_t refuse(int, const void*, size_t, off_t) {
    errno = ENOSPC;
    return -1;
  }
  static void set(sqlite3_syscall_ptr call) {
    auto* vfs = sqlite3_vfs_find(nullptr);
    for (const char* name : {"pwrite", "pwrite64"}) vfs->xSetSystemCall(vfs, name, call);
  }
};

// While it lives, SQLite can allocate nothing. The writer must be idle when it begins and ends.
class NoMemory {
 public:
  NoMemory() { sqlite3_hard_heap_limit64(1); }
  ~NoMemory() { sqlite3_hard_heap_limit64(0); }
  NoMemory(const NoMemory&) = delete;
  NoMemory& operator=(const NoMemory&) = delete;
};

}  // namespace hostcall::daemon::store
