// VM records as JSON: the administrator's files in vms.d, and the registry's own state file and runtime file.
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
};

// Reads the records of a file: {"vms": [record, …]}, or a single record. Throws ConfigError.
std::vector<FileRecord> records_of(const JsonValue& root);

// The runtime file: the registered VMs, so that a restarted daemon gives them the same numbers, and the VMs added at
// run time.
struct RuntimeState {
  struct Entry {
    std::uint64_t registration = 0;
    bool run_time = false;  // only this file has the record
    VmRecord record;
  };
  std::uint64_t last_registration = 0;
  std::vector<Entry> entries;

  // Empty if the file is missing. Throws ConfigError if it is broken.
  static RuntimeState read(const std::string& path);
  // Replaces the file at once or not at all. On success it is on disk, with mode 0600.
  Done write(const std::string& path) const;
};

// The state file, in the form of vms.d: the VMs added at run time with --persistent.
std::vector<FileRecord> read_state(const std::string& path);
// Like RuntimeState::write().
Done write_state(const std::string& path, const std::vector<VmRecord>& records);

}  // namespace hostcall::daemon
