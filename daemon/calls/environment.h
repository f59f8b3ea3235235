// What calls and connections need of the rest of the daemon, by reference. No place for behaviour.
#pragma once

#include <string>

#include "daemon/calls/access.h"
#include "daemon/calls/router.h"
#include "daemon/calls/stats.h"
#include "daemon/config/config.h"
#include "daemon/loop/reactor.h"
#include "daemon/vms/audit.h"
#include "proto/wire/chunk_pool.h"

namespace hostcall::daemon {

class Connection;

// Memory of output that was sent, kept for all connections together.
inline constexpr std::size_t kKeptOutputBytes = 256 * 1024;

// What a call needs, and the session that it comes on.
struct CallEnvironment {
  Reactor& reactor;
  Audit& audit;
  Stats& stats;
  const Config& config;
  const Router& router;
  Access& access;
  const std::string daemon_epoch;  // random at each start, hexadecimal
  wire::ChunkPool output_chunks{kKeptOutputBytes};
};

// Whoever holds the connections.
class Connections {
 public:
  // The connection is finished: takes it out, and destroys it at the end of the turn.
  virtual void closed(Connection& connection) = 0;
  // The VM of the connection has booted, as this connection's Hello says; its `boot_id` is the new one. `again`:
  // another boot was known before.
  virtual void booted(const Connection& connection, bool again) = 0;

 protected:
  ~Connections() = default;
};

// What a connection needs besides.
struct ConnectionEnvironment {
  CallEnvironment& calls;
  Connections& connections;
};

}  // namespace hostcall::daemon
