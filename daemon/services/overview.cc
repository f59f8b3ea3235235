#include "daemon/services/overview.h"

#include <unistd.h>

#include <algorithm>

namespace hostcall::daemon {
namespace {

void fill_server(const ServerFacts& facts, TimePoint now, v1::StatusResponse& response) {
  response.set_daemon_epoch(facts.epoch);
  response.set_started_unix_nano(facts.started_unix_nano);
  response.set_uptime_nano(static_cast<std::uint64_t>(nanoseconds(now - facts.started).count()));
  for (const auto& listener : facts.listeners) response.add_listeners(listener);
  response.set_vm_sockets(static_cast<std::uint32_t>(facts.vm_sockets));
  for (const auto& missing : facts.missing) response.add_missing(missing);
  response.set_connections(static_cast<std::uint32_t>(facts.connections));
  response.set_administrators(static_cast<std::uint32_t>(facts.administrators));
  for (const auto& warning : facts.warnings) response.add_warnings(warning);
  if (!facts.reload) return;
  response.mutable_reload()->set_unix_nano(facts.reload->unix_nano);
  response.mutable_reload()->set_failure(facts.reload->failure);
}

}  // namespace

void fill_overview(const AdminParts& parts, v1::StatusResponse& response) {
  response.set_version(HOSTCALL_VERSION);
  response.set_pid(static_cast<std::uint32_t>(::getpid()));
  fill_server(parts.server.facts(), parts.reactor.now(), response);
  const auto& vms = parts.registry.all();
  response.set_vms(static_cast<std::uint32_t>(vms.size()));
  response.set_vms_connected(static_cast<std::uint32_t>(
      std::ranges::count_if(vms, [](const auto& vm) { return vm.second->quota.used(Resource::kConnections) != 0; })));
  response.set_rules(static_cast<std::uint32_t>(parts.access.policy().rules().size()));
  const auto& services = parts.catalog.services();
  response.set_services(static_cast<std::uint32_t>(services.size()));
  response.set_services_disabled(static_cast<std::uint32_t>(services.disabled().size()));
  const auto store = parts.store.stats();
  *response.mutable_store() = parts.store_condition;
  response.set_store_keys(store.keys);
  response.set_store_bytes(store.bytes);
  response.set_journal_records_lost(parts.server.journal_records_lost());
}

}  // namespace hostcall::daemon
