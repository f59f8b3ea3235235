// All that main registers, on a Rig; and a Rig with a store.
#pragma once

#include <poll.h>

#include <stdexcept>

#include "daemon/services/admin_service.h"
#include "daemon/services/diagnostics_service.h"
#include "daemon/services/host_service.h"
#include "daemon/services/relay_service.h"
#include "daemon/services/run_service.h"
#include "daemon/services/session_service.h"
#include "daemon/services/store_host.h"
#include "daemon/services/store_service.h"
#include "tests/support/patience.h"
#include "tests/support/rig.h"
#include "tests/support/scripted_runner.h"

namespace hostcall::daemon::test {

inline MetricSources metric_sources(Rig& rig, const HostCalls& host_calls, const store::Engine& engine,
                                    const v1::StoreCondition& condition) {
  return {.stats = rig.stats,
          .config = rig.config,
          .registry = rig.registry,
          .access = rig.access,
          .router = rig.router,
          .host_calls = host_calls,
          .store = engine,
          .store_condition = condition,
          .server = rig.server};
}

inline void register_services(Rig& rig, Runner& runner, HostCalls& host_calls, store::Engine& engine,
                              const v1::StoreCondition& condition) {
  register_session_service(rig.router, engine, rig.catalog);
  register_host_service(rig.router, {.daemon_started = rig.reactor.now(), .root = rig.directory / "root"});
  register_diagnostics_service(rig.router, rig.reactor);
  register_store_service(rig.router, engine, rig.reactor);
  // The test serves sockets in this process.
  const HostCallEnvironment host{
      .reactor = rig.reactor, .catalog = rig.catalog, .runner = runner, .calls = host_calls, .own_pid = -1};
  register_relay_service(rig.router, host);
  register_run_service(rig.router, host);
  register_admin_service(rig.router, {.reactor = rig.reactor,
                                      .audit = rig.audit,
                                      .events = rig.events,
                                      .config = rig.config,
                                      .registry = rig.registry,
                                      .access = rig.access,
                                      .catalog = rig.catalog,
                                      .host_calls = host_calls,
                                      .store = engine,
                                      .store_condition = condition,
                                      .metrics = metric_sources(rig, host_calls, engine, condition),
                                      .server = rig.server,
                                      .background = rig.background,
                                      .config_file = rig.directory / "hostcalld.json"});
}

// Rig::settle() with a store, whose writer is a thread: until it has nothing left to commit.
inline void settle_with(Rig& rig, StoreHost& store) {
  rig.settle();
  while (store.engine().stats().queue != 0 || store.is_busy()) {
    constexpr auto kPatience = std::chrono::milliseconds(hostcall::test::kPatience).count();
    pollfd ready{.fd = store.engine().fd(), .events = POLLIN, .revents = 0};
    if (::poll(&ready, 1, static_cast<int>(kPatience)) <= 0) throw std::runtime_error("the store does not commit");
    rig.settle();
  }
}

}  // namespace hostcall::daemon::test
