// VM records as JSON: the administrator's files in vms.d, and the registry's own directories.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "daemon/config/json_file.h"
#include "daemon/config/vm_record.h"
#include "proto/base/result.h"

namespace hostcall::daemon {

// A record from a file, and its place.
struct FileRecord {
  VmRecord record;
  std::string file;
  unsigned line = 0;
  std::string socket_key{};  // of its unix_path, once looked up (socket_keys.h)

  std::string place() const { return file + ":" + std::to_string(line); }
};

// Reads the records of a file: {"vms": [record, …]}, or a single record. Throws ConfigError.
std::vector<FileRecord> records_of(const JsonValue& root);

// The directory in which the daemon keeps the registered VMs over its own restarts: each in a file of its own, so that
// one change is one write, however many VMs there are. Nothing here waits for the disk.
class RuntimeDirectory {
 public:
  struct Entry {
    std::uint64_t registration = 0;
    bool run_time = false;  // only this directory has the record
    VmRecord record;
  };
  struct Contents {
    std::uint64_t last_registration = 0;  // at least the number of each entry
    std::vector<Entry> entries;           // sorted by name
  };

  explicit RuntimeDirectory(std::string path) : path_(std::move(path)) {}

  // Empty if the directory is missing. Throws ConfigError if a file is broken.
  Contents read() const;
  // Each replaces or removes one file, with mode 0600, and makes the directory if it is missing.
  Done write(const Entry& entry) const;
  Done remove(const std::string& name) const;
  Done write_last_registration(std::uint64_t number) const;
  std::string file_of(const std::string& name) const;

 private:
  Done put(const std::string& file, std::string_view text) const;

  std::string path_;
};

// What came of the removal of a record.
struct Erased {
  bool was_there = false;
  Done removed = done();
  Done synced = done();  // not OK: the record is gone, but perhaps back after a crash of the host
};

// The directory of the VMs added at run time with --persistent, each in a file of its own, in the form of vms.d.
class StateDirectory {
 public:
  explicit StateDirectory(std::string path) : path_(std::move(path)) {}

  // Sorted by name. Empty if the directory is missing. Throws ConfigError if a file is broken.
  std::vector<FileRecord> read() const;
  // The change is on disk when they return, which can take long: run them on the background thread.
  Done write(const VmRecord& record) const;
  Erased remove(const std::string& name) const;

 private:
  std::string path_;
};

}  // namespace hostcall::daemon
