// What calls and connections need from the rest of the daemon, by reference. Has no behaviour.
#pragma once

#include <string>

#include "daemon/calls/access.h"
#include "daemon/calls/router.h"
#include "daemon/calls/stats.h"
#include "daemon/config/config.h"
#include "daemon/loop/heap_trim.h"
#include "daemon/loop/reactor.h"
#include "daemon/vms/audit.h"
#include "proto/wire/chunk_pool.h"

namespace hostcall::daemon {

class Connection;

// Memory of sent output that is kept for reuse, by all connections together.
inline constexpr std::size_t kKeptOutputBytes = 256 * 1024;

// What a session and its calls need.
struct CallEnvironment {
  Reactor& reactor;
  Audit& audit;
  Stats& stats;
  const Config& config;
  const Router& router;
  Access& access;
  std::string daemon_epoch;  // random at each start that goes on with no other daemon's sessions; hexadecimal
  wire::ChunkPool output_chunks{kKeptOutputBytes};
  // Shares of the turns for those who are no VM.
  Share administrators, strangers;
  VmCounts others;  // of all of them together, so that nobody need ask who is a VM; not told
  HeapTrim heap{reactor};

  Share& share_of(const Caller& caller) {
    if (caller.vm) return caller.vm->share;
    return caller.audience == Audience::kAdmin ? administrators : strangers;
  }
  VmCounts& counts_of(const Caller& caller) { return caller.vm ? caller.vm->counts : others; }
};

// The owner of the connections.
class Connections {
 public:
  // The connection is closed: removes it, and destroys it at the end of the turn.
  virtual void closed(Connection& connection) = 0;
  // The connection's Hello said that its VM has booted; the VM already has the new `boot_id`. `again`: it had another
  // one before.
  virtual void booted(const Connection& connection, bool again) = 0;

 protected:
  ~Connections() = default;
};

// What a connection needs.
struct ConnectionEnvironment {
  CallEnvironment& calls;
  Connections& connections;
};

}  // namespace hostcall::daemon
