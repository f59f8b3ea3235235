// VM records as JSON: the files of vms.d that an administrator writes, and the two files that the registry keeps
// itself, the state file and the runtime file.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "daemon/config/json_file.h"
#include "daemon/config/vm_record.h"
#include "proto/base/result.h"

namespace hostcall::daemon {

// A record of a file, and where it stands.
struct FileRecord {
  VmRecord record;
  std::string file;
  unsigned line = 0;
};

// The records of one file: {"vms": [record, …]}, or a single record as the whole file. Throws ConfigError.
std::vector<FileRecord> records_of(const JsonValue& root);

// The runtime file: which VMs were registered, so that a restarted daemon gives the same numbers, and the VMs that were
// added at run time.
struct RuntimeState {
  struct Entry {
    std::uint64_t registration = 0;
    bool run_time = false;  // the record is here and nowhere else
    VmRecord record;
  };
  std::uint64_t last_registration = 0;
  std::vector<Entry> entries;

  // Empty if there is no file; throws ConfigError if it is broken.
  static RuntimeState read(const std::string& path);
  // Replaces the file at once or not at all; on success it is on disk. Mode 0600.
  Done write(const std::string& path) const;
};

// The state file, of the form of vms.d: the VMs that were added at run time to stay.
std::vector<FileRecord> read_state(const std::string& path);
// As RuntimeState::write().
Done write_state(const std::string& path, const std::vector<VmRecord>& records);

}  // namespace hostcall::daemon
