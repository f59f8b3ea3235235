// VmRecord: an administrator's description of a virtual machine, from a file in vms.d or `hostcallctl vm add`.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/config/limits.h"

namespace hostcall::daemon {

struct VmRecord {
  std::string name;               // [a-z0-9][a-z0-9_.-]{0,63}
  std::string uuid;               // lower case; empty: none
  std::vector<std::string> tags;  // at most kMaxTags, each in the form of a name
  std::uint32_t cid = 0;          // above 2; 0: not recognised by CID
  std::string unix_path;          // own listener, absolute and without "..", or "@abstract" (with vmm_uid); empty: none
  std::optional<uid_t> vmm_uid;   // the uid that SO_PEERCRED must report on unix_path; alone: see vms/vm_directory.h
  LimitValues limits;             // by limit name, within its bounds; take precedence over the defaults

  bool operator==(const VmRecord&) const = default;
};

inline constexpr std::size_t kMaxTags = 32;

// Whether the text is [a-z0-9][a-z0-9_.-]{0,63}, the form of VM names and tags.
bool is_name(std::string_view text);
// Whether the text is a UUID in lower-case hexadecimal.
bool is_uuid(std::string_view text);
// The error says what is wrong with the record and what is expected.
Done check_record(const VmRecord& record);
// The configured limits, over which the record's own take precedence.
Limits limits_of(const VmRecord& record, const Limits& defaults);
// Refuses a record whose limits contradict the defaults. The error names the VM.
Done check_limits_of(const VmRecord& record, const Limits& defaults);

}  // namespace hostcall::daemon
