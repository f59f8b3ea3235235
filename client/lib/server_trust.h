// Trust: whose word about VMs counts, and what is said to everybody else.
#pragma once

#include <hostcall/server_call.h>
#include <hostcall/server_options.h>
#include <sys/types.h>

#include <string>
#include <string_view>
#include <vector>

#include "proto/wire/message.h"

namespace hostcall::server {

// The metadata that only hostcalld sets; see PROTOCOL.md, section 20.
inline constexpr std::string_view kReservedPrefix = "hostcall-";

class Trust {
 public:
  // Looks up the user.
  explicit Trust(const ServerOptions& options);
  bool trusts(uid_t uid) const;
  // Why this user's calls are refused, and how to allow them.
  wire::Status refusal(uid_t uid) const;

 private:
  std::string user_;  // in which hostcalld runs
  bool has_user_ = false;
  std::vector<uid_t> uids_;
};

// What hostcalld says about the caller. `request`: from a trusted peer.
Caller caller_of(const wire::RequestView& request);
std::uint64_t call_id_of(const wire::RequestView& request);

}  // namespace hostcall::server
