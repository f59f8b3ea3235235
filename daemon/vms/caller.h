// Caller: who is at the other end of a connection, as the kernel attests it and the registry names it.
#pragma once

#include <memory>
#include <string>

#include "daemon/vms/registry.h"
#include "proto/net/socket.h"
#include "proto/wire/status.h"

namespace hostcall::daemon {

// Whom a listener serves.
enum class Audience : std::uint8_t { kGuest, kAdmin };

inline constexpr char kAdminName[] = "@admin";

struct Caller {
  VmRef vm;  // null for administrators and refused callers
  net::Peer peer;
  Audience audience = Audience::kGuest;
  std::shared_ptr<const std::string> listener;  // the address that it connected to, as shared text; not null

  // Evidence of root in the guest: only root gets a source port below 1024.
  bool privileged_port() const {
    return peer.family == net::Address::Family::kVsock && peer.port < net::kPrivilegedPorts;
  }
  // An empty charge on the VM.
  Charge charge(Resource resource) const { return vm ? Charge(vm->quota, resource) : Charge(); }
  // For logs and lists: the VM's name, "@admin", or "@unknown", which no VM can have.
  std::string name() const {
    if (vm) return vm->record.name;
    return audience == Audience::kAdmin ? kAdminName : "@unknown";
  }
  // "VM "web1"", with which messages start.
  std::string title() const { return "VM \"" + name() + "\""; }
  // "vsock:42:1023", or "unix:/path (uid 1000)".
  std::string peer_text() const {
    if (peer.family == net::Address::Family::kVsock)
      return "vsock:" + std::to_string(peer.cid) + ":" + std::to_string(peer.port);
    return *listener + " (uid " + std::to_string(peer.uid) + ")";
  }
};

// RESOURCE_EXHAUSTED: "VM "web1": the limit streams (256) is reached; …"
inline wire::Status over_limit(const Caller& caller, const char* limit, std::uint64_t value,
                               std::string_view what_to_do) {
  return {wire::Code::kResourceExhausted,
          caller.title() + ": the limit " + std::string(limit) + " (" + std::to_string(value) + ") is reached; " +
              std::string(what_to_do),
          {},
          {},
          limit};
}

}  // namespace hostcall::daemon
