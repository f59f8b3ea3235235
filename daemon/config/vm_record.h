// VmRecord: a virtual machine as the administrator describes it, in a file of vms.d or by `hostcallctl vm add`.
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
  std::vector<std::string> tags;  // at most kMaxTags, each of the form of a name
  std::uint32_t cid = 0;          // above 2; 0: not recognised by CID
  std::string unix_path;          // own listener, absolute and without "..", or "@abstract"; empty: none
  std::optional<uid_t> vmm_uid;   // what SO_PEERCRED must say on unix_path
  LimitValues limits;             // overrides by limit name, within the limit's bounds

  bool operator==(const VmRecord&) const = default;
};

inline constexpr std::size_t kMaxTags = 32;

// Whether text is [a-z0-9][a-z0-9_.-]{0,63}: names of VMs, tags.
bool is_name(std::string_view text);
// The error says what is wrong with the record, and how it should be.
Done check_record(const VmRecord& record);
// The configured limits with the record's own in their place.
Limits limits_of(const VmRecord& record, const Limits& defaults);

}  // namespace hostcall::daemon
