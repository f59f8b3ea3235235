// Environment: what main built and every connection needs, by reference. Not a place for behaviour.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "daemon/access.h"
#include "daemon/audit.h"
#include "daemon/config.h"
#include "daemon/journal.h"
#include "daemon/reactor.h"
#include "daemon/registry.h"
#include "daemon/router.h"
#include "daemon/stats.h"

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

struct Environment {
  Reactor& reactor;
  Journal& journal;
  Audit& audit;
  Router& router;
  Access& access;
  Registry& registry;
  Config& config;
  Stats& stats;
  Connections& connections;
  std::string daemon_epoch;  // random at each start, hexadecimal
  TimePoint started;
};

}  // namespace hostcall::daemon
