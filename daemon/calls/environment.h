// Parts and Environment: what main built and the server, its connections and the admin service need, by reference. No
// place for behaviour.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "daemon/calls/access.h"
#include "daemon/calls/router.h"
#include "daemon/calls/stats.h"
#include "daemon/config/config.h"
#include "daemon/loop/journal.h"
#include "daemon/loop/reactor.h"
#include "daemon/store/engine.h"
#include "daemon/vms/audit.h"
#include "daemon/vms/registry.h"
#include "proto/wire/chunk_pool.h"

namespace hostcall::daemon {

class Connection;

// Whoever holds the connections.
class Connections {
 public:
  // The connection is finished: takes it out and destroys it at the end of the turn.
  virtual void closed(Connection& connection) = 0;
  // Ends all sessions of a VM but one.
  virtual void end_sessions(const Vm& vm, wire::GoawayReason reason, std::string_view text, const void* except) = 0;

 protected:
  ~Connections() = default;
};

// What main builds.
struct Parts {
  Reactor& reactor;
  Journal& journal;
  Audit& audit;
  Router& router;
  Access& access;
  Registry& registry;
  Config& config;
  Stats& stats;
  store::Engine& store;
};

// Memory of output that was sent, kept for the connections together.
inline constexpr std::size_t kKeptOutputBytes = 256 * 1024;

// What the server adds for its connections.
struct Environment : Parts {
  Connections& connections;
  std::string daemon_epoch;  // random at each start, hexadecimal
  wire::ChunkPool output_chunks{kKeptOutputBytes};
};

}  // namespace hostcall::daemon
