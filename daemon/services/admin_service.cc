#include "daemon/services/admin_service.h"

#include <algorithm>

#include "daemon/calls/known_names.h"
#include "daemon/config/nearest.h"
#include "daemon/config/policy.h"
#include "daemon/services/admin_action.h"
#include "daemon/services/event_stream.h"
#include "daemon/services/find_aside.h"
#include "daemon/services/metrics_call.h"
#include "daemon/services/overview.h"
#include "daemon/services/service_admin.h"
#include "daemon/services/store_backup.h"
#include "daemon/services/vm_admin.h"
#include "daemon/vms/settings.h"
#include "hostcall/v1/admin.hostcall.h"
#include "hostcall/v1/relay.hostcall.h"
#include "hostcall/v1/run.hostcall.h"
#include "proto/base/bounded_text.h"
#include "proto/base/escape.h"

namespace hostcall::daemon {
namespace {

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

Status invalid(std::string text) { return {Code::kInvalidArgument, std::move(text)}; }

// Refuses a question about a call that can't be made: a rule would not help.
// Run and Relay are about services, all other methods with resources about keys.
std::string_view example_of(const Method& method) {
  return method.service == v1::Run::Start::kService || method.service == v1::Relay::Open::kService ? "backup"
                                                                                                   : "/self/x";
}

Status object_to(const VmRef& vm, const Method& method, const v1::PolicyExplainRequest& request) {
  if (request.privileged_port() && vm->record.cid == 0)
    return invalid(
        "VM \"" + vm->record.name +
        "\" has no CID, and its Unix socket shows no source port: no call of it has a privileged port; leave "
        "out --privileged-port");
  if (method.has_resource() == !request.resource().empty()) {
    Caller caller;
    caller.vm = vm;
    return method.has_resource() ? method.check_resource(caller, request.resource()) : Status{};
  }
  return invalid(method.name + (method.has_resource()
                                    ? " is about a resource, which policy decides by too; add it, for example "
                                      "--resource " +
                                          std::string(example_of(method))
                                    : " has no resource; leave out --resource"));
}

class AdminService {
 public:
  AdminService(const Router& router, const AdminParts& parts)
      : router_(router), parts_(parts), vms_(parts), services_(parts), turns_(parts.reactor) {}

  const VmAdmin& vms() const { return vms_; }
  const ServiceAdmin& services() const { return services_; }
  Handler policy_check(const v1::PolicyCheckRequest& request) const;
  Status policy_explain(const v1::PolicyExplainRequest& request, v1::PolicyExplainResponse& response) const;
  Handler config_check() const;
  LateAnswerPtr reload() const;
  Status store_backup(const Caller& caller, Handler& handler);
  Status events(const v1::EventsRequest& request, Handler& handler);
  Status session_list(const v1::SessionListRequest& request, v1::SessionListResponse& response) const;
  Status session_close(const v1::SessionCloseRequest& request) const;
  Status metrics(const v1::MetricsTextRequest& request, Handler& handler) const;
  Status stats(v1::StatsResponse& response) const;
  Status overview(v1::StatusResponse& response) const {
    fill_overview(parts_, response);
    return {};
  }

 private:
  Status no_method(const std::string& name) const;
  v1::ReloadResponse in_force(const std::vector<std::string>& warnings) const;

  const Router& router_;
  const AdminParts parts_;
  const VmAdmin vms_;
  const ServiceAdmin services_;
  WatchTurns turns_;
  std::weak_ptr<void> backup_;  // the one that runs
};

Handler AdminService::policy_check(const v1::PolicyCheckRequest& request) const {
  struct Outcome {
    std::vector<Policy::File> files;
    std::vector<std::string> directories;
    std::vector<std::string> services;  // their directories
    KnownNames known;
    v1::PolicyCheckResponse found{};
    void find() {
      known.add(Services::read(services));
      const auto policy = files.empty() ? Policy::read(directories) : Policy::parse(files);
      found.set_rules(static_cast<std::uint32_t>(policy.rules().size()));
      found.set_files(static_cast<std::uint32_t>(policy.files()));
      for (auto& warning : policy_warnings(policy, known)) found.add_warnings(std::move(warning));
    }
  };
  std::vector<Policy::File> files;
  for (const auto& file : request.files()) files.push_back({escape(file.name()), file.content()});
  return find_aside(parts_.background,
                    std::make_shared<Outcome>(Outcome{.files = std::move(files),
                                                      .directories = parts_.config.policy_directories(),
                                                      .services = parts_.config.services_directories(),
                                                      .known = known_names(router_, parts_.registry)}));
}

Status AdminService::no_method(const std::string& name) const {
  KnownNames::Names names;
  for (const auto& method : router_.known_methods())
    if (method.for_guests) names.insert(method.name);
  for (auto& routed : router_.routed_names()) names.insert(std::move(routed));
  const auto near = nearest(name, names);
  const auto hint = near.empty() ? "name it as PACKAGE.SERVICE/METHOD, for example hostcall.v1.Host/Info"
                                 : "did you mean " + in_quotes(near) + "?";
  return {Code::kUnimplemented, "no method is named " + in_quotes(name) + "; " + hint};
}

Status AdminService::policy_explain(const v1::PolicyExplainRequest& request,
                                    v1::PolicyExplainResponse& response) const {
  const auto vm = parts_.registry.find(request.vm());
  if (!vm) return no_vm(request.vm());
  const std::string_view name = request.method();
  const Method* method = router_.find(name);
  const auto slash = std::min(name.find('/'), name.size());
  const auto routed =
      router_.route(name.substr(0, slash), name.substr(std::min(slash + 1, name.size())), wire::Shape::kUnary);
  if (method == nullptr) method = routed.get();
  if (method == nullptr) return no_method(request.method());
  if (method->audience == Audience::kAdmin)
    return {Code::kUnimplemented, "guests can't call " + method->name + ": the host serves it to administrators only"};
  if (auto status = object_to(vm, *method, request); !status.ok()) return status;
  const CallQuery query{
      .method = request.method(), .resource = request.resource(), .privileged_port = request.privileged_port()};
  const auto verdict = parts_.access.policy().decide(vm->record, query);
  response.set_allowed(verdict.allowed);
  response.set_text(verdict_text(vm->record, query, verdict, Reader::kExplain));
  if (verdict.rule == nullptr) return {};
  response.set_file(verdict.rule->file);
  response.set_line(verdict.rule->line);
  return {};
}

Handler AdminService::config_check() const {
  struct Outcome {
    std::string file;
    std::vector<KnownNames::Method> methods;
    v1::ConfigCheckResponse found{};
    void find() {
      const auto start = check_start(file, methods);
      for (const auto& warning : start.warnings) found.add_warnings(warning);
      found.set_vms(static_cast<std::uint32_t>(start.vms));
      found.set_rules(static_cast<std::uint32_t>(start.rules));
      found.set_services(static_cast<std::uint32_t>(start.services));
      found.set_file(start.file);
    }
  };
  return find_aside(parts_.background,
                    std::make_shared<Outcome>(Outcome{.file = parts_.config_file, .methods = router_.known_methods()}));
}

v1::ReloadResponse AdminService::in_force(const std::vector<std::string>& warnings) const {
  v1::ReloadResponse response;
  response.set_vms(static_cast<std::uint32_t>(parts_.registry.all().size()));
  response.set_rules(static_cast<std::uint32_t>(parts_.access.policy().rules().size()));
  response.set_services(static_cast<std::uint32_t>(parts_.catalog.services().size()));
  for (const auto& warning : warnings) response.add_warnings(warning);
  return response;
}

LateAnswerPtr AdminService::reload() const {
  auto answer = std::make_unique<LateAnswer>();
  parts_.server.reload([this, to = answer->to()](const ReloadOutcome& outcome) {
    if (outcome.ok()) return to.reply(in_force(*outcome));
    to.finish({Code::kFailedPrecondition, "the old configuration stays in force: " + outcome.error().message()});
  });
  return answer;
}

Status AdminService::events(const v1::EventsRequest& request, Handler& handler) {
  if (auto status = EventStream::check(request); !status.ok()) return status;
  handler = std::make_unique<EventStream>(parts_.events, turns_, request);
  return {};
}

// Reading all keys is recorded as a change is.
Status AdminService::store_backup(const Caller& caller, Handler& handler) {
  const auto record = [this, caller](const Status& outcome) {
    parts_.audit.action(caller, {.verb = "store backup", .object = {}, .vm = {}, .how = {}}, outcome);
  };
  if (!backup_.expired()) {
    const Status busy{Code::kUnavailable, "another backup of the store is running; try again when it is over"};
    record(busy);
    return busy;
  }
  const std::shared_ptr<void> place = std::make_shared<bool>();
  backup_ = place;
  handler = std::make_unique<StoreBackup>(StoreBackup::Parts{.reactor = parts_.reactor,
                                                             .background = parts_.background,
                                                             .store = parts_.store,
                                                             .file = parts_.config.state_directory + "/backup.new"},
                                          place, record);
  return {};
}

Status AdminService::session_list(const v1::SessionListRequest& request, v1::SessionListResponse& response) const {
  const bool of_admins = request.vm() == kAdminName;
  const bool of_vm = !request.vm().empty() && !of_admins;
  const auto vm = of_vm ? parts_.registry.find(request.vm()) : nullptr;
  if (of_vm && !vm) return no_vm(request.vm());
  const auto most = page_size(request.limit());
  parts_.server.for_each_session(vm.get(), request.after(), [&](const SessionInfo& session) {
    if (of_admins && session.caller.audience != Audience::kAdmin) return true;
    if (static_cast<std::size_t>(response.sessions_size()) == most) {
      response.set_next(response.sessions().rbegin()->id());
      return false;
    }
    fill_session(session, parts_.reactor.now(), *response.add_sessions());
    return true;
  });
  return {};
}

Status AdminService::session_close(const v1::SessionCloseRequest& request) const {
  if (!parts_.server.close_session(request.id(), "an administrator closed the session"))
    return {Code::kNotFound, "no session " + std::to_string(request.id())};
  return {};
}

Status AdminService::metrics(const v1::MetricsTextRequest& request, Handler& handler) const {
  if (!v1::MetricsTextRequest::Format_IsValid(request.format()))
    return invalid("this hostcalld knows no format " + std::to_string(request.format()) + " of metrics");
  const bool is_open = request.format() == v1::MetricsTextRequest::FORMAT_OPENMETRICS;
  handler =
      std::make_unique<MetricsCall>(parts_.metrics, is_open ? MetricsFormat::kOpenMetrics : MetricsFormat::kPrometheus);
  return {};
}

Status AdminService::stats(v1::StatsResponse& response) const {
  fill_stats(parts_.metrics, response);
  *response.mutable_store() = parts_.store_condition;
  response.set_runtime_directory(parts_.config.runtime_directory);
  return {};
}

// A name that an administrator has sent, as a record shows it.
Action action(std::string_view verb, const std::string& object, bool is_vm = false, std::string how = {}) {
  const auto bounded = bounded_text(object, kMaxRecordValue);
  return {.verb = std::string(verb), .object = bounded, .vm = is_vm ? bounded : "", .how = std::move(how)};
}

// "--tag web --limit streams=64"
std::string change_text(const v1::VmSetRequest& request) {
  std::string text;
  const auto add = [&](std::string_view option, const std::string& value) {
    text.append(text.empty() ? "" : " ").append(option).append(" ").append(escape(value));
  };
  for (const auto& tag : request.add_tags()) add("--tag", tag);
  for (const auto& tag : request.remove_tags()) add("--remove-tag", tag);
  for (const auto& limit : request.limits()) add("--limit", limit.name() + "=" + std::to_string(limit.value()));
  for (const auto& name : request.reset_limits()) add("--reset-limit", name);
  return bounded_text(text, kMaxRecordValue);
}

// Those that change something.
void register_actions(Router& router, Audit& audit, const std::shared_ptr<AdminService>& service) {
  namespace A = v1::Admin;
  add_action<A::VmAdd>(
      router, audit, [](const auto& request) { return action("vm add", request.record().name(), true); },
      [service](const auto& request, auto& response, auto& later) {
        return service->vms().add(request, response, later);
      });
  add_action<A::VmSet>(
      router, audit, [](const auto& request) { return action("vm set", request.name(), true, change_text(request)); },
      [service](const auto& request, auto& response, auto& later) {
        return service->vms().set(request, response, later);
      });
  add_action<A::VmRemove>(
      router, audit,
      [](const auto& request) { return action("vm remove", request.name(), true, request.purge() ? "--purge" : ""); },
      [service](const auto& request, auto& response, auto& later) {
        return service->vms().remove(request, response, later);
      });
  add_action<A::Reload>(
      router, audit, [](const auto&) { return action("policy reload", {}); },
      [service](const auto&, auto&, auto& later) {
        later = service->reload();
        return Status();
      });
  add_action<A::SessionClose>(
      router, audit, [](const auto& request) { return action("session close", std::to_string(request.id())); },
      [service](const auto& request, auto&, auto&) { return service->session_close(request); });
  add_action<A::RunKill>(
      router, audit, [](const auto& request) { return action("run kill", std::to_string(request.number())); },
      [service](const auto& request, auto& response, auto&) {
        return service->services().kill_run(request, response);
      });
}

}  // namespace

void register_admin_service(Router& router, const AdminParts& parts) {
  const auto service = std::make_shared<AdminService>(router, parts);
  const auto add = [&]<class M>(M, auto serve) { router.unary<M>(Audience::kAdmin, serve); };
  namespace A = v1::Admin;
  add(A::VmList{},
      [service](const auto&, const auto& request, auto& response) { return service->vms().list(request, response); });
  add(A::VmShow{},
      [service](const auto&, const auto& request, auto& response) { return service->vms().show(request, response); });
  add(A::PolicyCheck{}, [service](const auto&, const auto& request, auto&, Handler& handler) {
    handler = service->policy_check(request);
    return Status();
  });
  add(A::PolicyExplain{}, [service](const auto&, const auto& request, auto& response) {
    return service->policy_explain(request, response);
  });
  add(A::ConfigCheck{}, [service](const auto&, const auto&, auto&, Handler& handler) {
    handler = service->config_check();
    return Status();
  });
  add(A::SessionList{},
      [service](const auto&, const auto& request, auto& response) { return service->session_list(request, response); });
  add(A::ServiceList{}, [service](const auto&, const auto& request, auto& response) {
    return service->services().list(request, response);
  });
  add(A::ServiceShow{}, [service](const auto&, const auto& request, auto& response) {
    return service->services().show(request, response);
  });
  add(A::ServiceCheck{}, [service](const auto&, const auto&, auto&, Handler& handler) {
    handler = service->services().check();
    return Status();
  });
  add(A::RunList{}, [service](const auto&, const auto& request, auto& response) {
    return service->services().list_runs(request, response);
  });
  router.handled<A::Metrics>(Audience::kAdmin, [service](const auto&, const auto& request, Handler& handler) {
    return service->metrics(request, handler);
  });
  add(A::Stats{}, [service](const auto&, const auto&, auto& response) { return service->stats(response); });
  add(A::Status{}, [service](const auto&, const auto&, auto& response) { return service->overview(response); });
  router.handled<A::Events>(Audience::kAdmin, [service](const auto&, const auto& request, Handler& handler) {
    return service->events(request, handler);
  });
  router.handled<A::StoreBackup>(Audience::kAdmin,
                                 [service](const CallContext& context, const auto&, Handler& handler) {
                                   return service->store_backup(context.caller, handler);
                                 });
  register_actions(router, parts.audit, service);
  router.check_complete(A::kAllMethods);
}

}  // namespace hostcall::daemon
