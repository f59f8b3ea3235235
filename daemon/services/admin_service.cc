#include "daemon/services/admin_service.h"

#include <algorithm>

#include "daemon/config/policy.h"
#include "daemon/services/limit_messages.h"
#include "daemon/store/key.h"
#include "hostcall/v1/admin.hostcall.h"
#include "proto/base/escape.h"

namespace hostcall::daemon {
namespace {

VmRecord record_of(const v1::VmRecord& message) {
  VmRecord record;
  record.name = message.name();
  record.uuid = message.uuid();
  record.tags.assign(message.tags().begin(), message.tags().end());
  record.cid = message.cid();
  record.unix_path = message.unix_path();
  if (message.has_vmm_uid()) record.vmm_uid = message.vmm_uid();
  for (const auto& limit : message.limits()) record.limits[limit.name()] = limit.value();
  return record;
}

void fill_record(const VmRecord& record, v1::VmRecord& message) {
  message.set_name(record.name);
  message.set_uuid(record.uuid);
  for (const auto& tag : record.tags) message.add_tags(tag);
  message.set_cid(record.cid);
  message.set_unix_path(record.unix_path);
  message.set_has_vmm_uid(record.vmm_uid.has_value());
  message.set_vmm_uid(record.vmm_uid.value_or(0));
  for (const auto& [name, value] : record.limits) {
    auto& limit = *message.add_limits();
    limit.set_name(name);
    limit.set_value(value);
  }
}

Status status_of(const Registry::Refusal& refusal) {
  using Kind = Registry::Refusal::Kind;
  switch (refusal.kind) {
    case Kind::kInvalid: return {Code::kInvalidArgument, refusal.text};
    case Kind::kTaken: return {Code::kAlreadyExists, refusal.text};
    case Kind::kNotFound: return {Code::kNotFound, refusal.text};
    case Kind::kFromFile: return {Code::kFailedPrecondition, refusal.text};
    case Kind::kStorage: return {Code::kUnavailable, refusal.text};
  }
  return {Code::kInternal, refusal.text};
}

Status no_vm(std::string_view name) {
  return {Code::kNotFound, "no VM is named \"" + escape(name) + "\"; hostcallctl vm list shows all"};
}

std::uint64_t nano(Duration duration) { return static_cast<std::uint64_t>(nanoseconds(duration).count()); }

void fill_session(const SessionInfo& session, TimePoint now, v1::SessionState& state) {
  state.set_id(session.id);
  state.set_vm(session.caller.name());
  state.set_peer(session.caller.peer_text());
  state.set_client(session.client);
  state.set_age_nano(nano(now - session.opened));
  state.set_idle_nano(nano(now - session.last_received));
  state.set_calls(session.calls);
  state.set_streams(static_cast<std::uint32_t>(session.open_streams));
  state.set_bytes_in(session.bytes_in);
  state.set_bytes_out(session.bytes_out);
}

std::uint64_t count_keys(const store::Engine& engine, const std::string& vm) {
  std::uint64_t keys = 0;
  if (is_name(vm))
    engine.scan(store::vm_prefix(vm), {}, [&](const store::Ref&) {
      ++keys;
      return true;
    });
  return keys;
}

// Answers once the VM's keys are deleted on the disk.
class Purge final : public CallHandler {
 public:
  Purge(store::Engine& engine, std::string vm, v1::VmRemoveResponse response)
      : engine_(engine), vm_(std::move(vm)), response_(std::move(response)) {}

 private:
  void start() override {
    engine_.purge(vm_, [here = std::weak_ptr<Purge*>(here_)](store::OutcomeCode code) {
      if (const auto self = here.lock()) (*self)->answer(code);
    });
  }
  void answer(store::OutcomeCode code) {
    if (code == store::OutcomeCode::kDone) return call().reply(response_);
    call().finish(
        {Code::kUnavailable, "VM \"" + vm_ + "\" was removed, but its keys were not: the store's disk has failed"});
  }

  store::Engine& engine_;
  const std::string vm_;
  const v1::VmRemoveResponse response_;
  // The purge outlives a call that ends early.
  const std::shared_ptr<Purge*> here_ = std::make_shared<Purge*>(this);
};

class AdminService {
 public:
  AdminService(const Router& router, const AdminParts& parts) : router_(router), parts_(parts) {}

  Status vm_list(v1::VmListResponse& response) const;
  Status vm_show(const v1::VmShowRequest& request, v1::VmShowResponse& response) const;
  Status vm_add(const v1::VmAddRequest& request, v1::VmAddResponse& response) const;
  Status vm_remove(const v1::VmRemoveRequest& request, v1::VmRemoveResponse& response, Handler& handler) const;
  Status policy_check(const v1::PolicyCheckRequest& request, v1::PolicyCheckResponse& response) const;
  Status policy_explain(const v1::PolicyExplainRequest& request, v1::PolicyExplainResponse& response) const;
  Status reload(v1::ReloadResponse& response) const;
  Status session_list(const v1::SessionListRequest& request, v1::SessionListResponse& response) const;
  Status session_close(const v1::SessionCloseRequest& request) const;
  Status stats(v1::StatsResponse& response) const;

 private:
  void fill_state(const Vm& vm, v1::VmState& state) const;

  const Router& router_;
  const AdminParts parts_;
};

void AdminService::fill_state(const Vm& vm, v1::VmState& state) const {
  fill_record(vm.record, *state.mutable_record());
  state.set_origin(vm.origin);
  state.set_registration(vm.registration);
  state.set_boot_id(vm.boot_id);
  state.set_connections(static_cast<std::uint32_t>(vm.quota.used(Resource::kConnections)));
  state.set_streams(static_cast<std::uint32_t>(vm.quota.used(Resource::kStreams)));
  state.set_memory_bytes(vm.quota.used(Resource::kMemory) + vm.quota.used(Resource::kOutbound));
  state.set_calls(vm.calls);
  state.set_denied(vm.denied);
}

Status AdminService::vm_list(v1::VmListResponse& response) const {
  for (const auto& [name, vm] : parts_.registry.all()) fill_state(*vm, *response.add_vms());
  return {};
}

Status AdminService::vm_show(const v1::VmShowRequest& request, v1::VmShowResponse& response) const {
  const auto vm = parts_.registry.find(request.name());
  if (!vm) return no_vm(request.name());
  fill_state(*vm, *response.mutable_vm());
  fill_limits(limits_left(*vm, parts_.store.usage(vm->record.name), parts_.reactor.now()), *response.mutable_limits());
  return {};
}

Status AdminService::vm_add(const v1::VmAddRequest& request, v1::VmAddResponse& response) const {
  auto outcome = parts_.registry.add(record_of(request.record()), request.persistent());
  if (!outcome.vm) return status_of(outcome.refusal);
  if (const auto added = parts_.server.vm_added(*outcome.vm); !added.ok()) {
    // A VM without its listener can't call: remove it again, so that nothing is half done.
    if (const auto undone = parts_.registry.remove(outcome.vm->record.name); undone.vm)
      parts_.server.vm_removed(*undone.vm);
    return {Code::kFailedPrecondition, added.error().message()};
  }
  fill_state(*outcome.vm, *response.mutable_vm());
  return {};
}

Status AdminService::vm_remove(const v1::VmRemoveRequest& request, v1::VmRemoveResponse& response,
                               Handler& handler) const {
  const auto outcome = parts_.registry.remove(request.name());
  const auto keys = count_keys(parts_.store, request.name());
  // A VM that is no longer registered may have left keys.
  const bool only_keys = outcome.refusal.kind == Registry::Refusal::Kind::kNotFound && request.purge() && keys != 0;
  if (!outcome.vm && !only_keys) return status_of(outcome.refusal);
  if (outcome.vm) response.set_sessions_ended(static_cast<std::uint32_t>(parts_.server.vm_removed(*outcome.vm)));
  if (!request.purge()) return {};
  response.set_keys_deleted(keys);
  handler = std::make_unique<Purge>(parts_.store, request.name(), response);
  return {};
}

Status AdminService::policy_check(const v1::PolicyCheckRequest& request, v1::PolicyCheckResponse& response) const {
  std::vector<Policy::File> files;
  for (const auto& file : request.files()) files.push_back({escape(file.name()), file.content()});
  try {
    const auto policy = files.empty() ? Policy::read(parts_.config.policy_directory) : Policy::parse(files);
    response.set_rules(static_cast<std::uint32_t>(policy.rules().size()));
    response.set_files(static_cast<std::uint32_t>(policy.files()));
  } catch (const ConfigError& error) {
    return {Code::kInvalidArgument, error.what()};
  }
  return {};
}

Status AdminService::policy_explain(const v1::PolicyExplainRequest& request,
                                    v1::PolicyExplainResponse& response) const {
  const auto vm = parts_.registry.find(request.vm());
  if (!vm) return no_vm(request.vm());
  const auto* method = router_.find(request.method());
  if (method == nullptr || method->audience == Audience::kAdmin)
    return {Code::kUnimplemented, "guests can't call \"" + escape(request.method()) +
                                      "\"; name a method as PACKAGE.SERVICE/METHOD, for example hostcall.v1.Host/Info"};
  const CallQuery query{
      .method = request.method(), .resource = request.resource(), .privileged_port = request.privileged_port()};
  const auto verdict = parts_.access.policy().decide(vm->record, query);
  response.set_allowed(verdict.allowed);
  response.set_text(verdict_text(vm->record, query, verdict));
  if (verdict.rule == nullptr) return {};
  response.set_file(verdict.rule->file);
  response.set_line(verdict.rule->line);
  return {};
}

Status AdminService::reload(v1::ReloadResponse& response) const {
  if (const auto reloaded = parts_.server.reload(); !reloaded.ok())
    return {Code::kFailedPrecondition, "the old configuration stays in force: " + reloaded.error().message()};
  response.set_vms(static_cast<std::uint32_t>(parts_.registry.all().size()));
  response.set_rules(static_cast<std::uint32_t>(parts_.access.policy().rules().size()));
  return {};
}

Status AdminService::session_list(const v1::SessionListRequest& request, v1::SessionListResponse& response) const {
  if (!request.vm().empty() && !parts_.registry.find(request.vm())) return no_vm(request.vm());
  parts_.server.for_each_session([&](const SessionInfo& session) {
    if (request.vm().empty() || session.caller.name() == request.vm())
      fill_session(session, parts_.reactor.now(), *response.add_sessions());
  });
  return {};
}

Status AdminService::session_close(const v1::SessionCloseRequest& request) const {
  if (!parts_.server.close_session(request.id(), "an administrator closed the session"))
    return {Code::kNotFound, "no session " + std::to_string(request.id())};
  return {};
}

Status AdminService::stats(v1::StatsResponse& response) const {
  const auto& stats = parts_.stats;
  const auto store = parts_.store.stats();
  // Sorted by name.
  const std::pair<const char*, std::uint64_t> counters[] = {
      {"bytes_in", stats.bytes_in},
      {"bytes_out", stats.bytes_out},
      {"calls", stats.calls},
      {"calls_denied", stats.calls_denied},
      {"calls_limited", stats.calls_limited},
      {"calls_timed_out", stats.calls_timed_out},
      {"connections_accepted", stats.connections_accepted},
      {"connections_open", stats.connections_open},
      {"connections_refused", stats.connections_refused},
      {"heartbeats_lost", stats.heartbeats_lost},
      {"journal_records_lost", parts_.server.journal_records_lost()},
      {"policy_rules", parts_.access.policy().rules().size()},
      {"reloads", stats.reloads},
      {"reloads_failed", stats.reloads_failed},
      {"store_bytes", store.bytes},
      {"store_commits", store.commits},
      {"store_compact_revision", static_cast<std::uint64_t>(store.compact_revision)},
      {"store_history_events", store.history_events},
      {"store_keys", store.keys},
      {"store_revision", static_cast<std::uint64_t>(store.revision)},
      {"store_transactions", store.transactions},
      {"store_waiting", store.queue},
      {"store_watches", store.watches},
      {"violations", stats.violations},
      {"vms", parts_.registry.all().size()},
  };
  for (const auto& [name, value] : counters) {
    auto& counter = *response.add_counters();
    counter.set_name(name);
    counter.set_value(value);
  }
  return {};
}

}  // namespace

void register_admin_service(Router& router, const AdminParts& parts) {
  const auto service = std::make_shared<AdminService>(router, parts);
  const auto add = [&]<class M>(M, auto serve) { router.unary<M>(Audience::kAdmin, serve); };
  namespace A = v1::Admin;
  add(A::VmList{}, [service](const auto&, const auto&, auto& response) { return service->vm_list(response); });
  add(A::VmShow{},
      [service](const auto&, const auto& request, auto& response) { return service->vm_show(request, response); });
  add(A::VmAdd{},
      [service](const auto&, const auto& request, auto& response) { return service->vm_add(request, response); });
  add(A::VmRemove{}, [service](const auto&, const auto& request, auto& response, Handler& handler) {
    return service->vm_remove(request, response, handler);
  });
  add(A::PolicyCheck{},
      [service](const auto&, const auto& request, auto& response) { return service->policy_check(request, response); });
  add(A::PolicyExplain{}, [service](const auto&, const auto& request, auto& response) {
    return service->policy_explain(request, response);
  });
  add(A::Reload{}, [service](const auto&, const auto&, auto& response) { return service->reload(response); });
  add(A::SessionList{},
      [service](const auto&, const auto& request, auto& response) { return service->session_list(request, response); });
  add(A::SessionClose{},
      [service](const auto&, const auto& request, auto&) { return service->session_close(request); });
  add(A::Stats{}, [service](const auto&, const auto&, auto& response) { return service->stats(response); });
  router.check_complete(A::kAllMethods);
}

}  // namespace hostcall::daemon
