#include "daemon/services/service_admin.h"

#include <algorithm>
#include <charconv>
#include <optional>

#include "daemon/calls/known_names.h"
#include "daemon/config/nearest.h"
#include "daemon/config/service_warnings.h"
#include "daemon/services/find_aside.h"
#include "daemon/services/service_messages.h"
#include "daemon/services/vm_admin.h"
#include "proto/base/bounded_text.h"
#include "proto/base/escape.h"

namespace hostcall::daemon {
namespace {

// Where a page begins among the disabled services: this and an index. No service has such a name.
constexpr std::string_view kDisabled = "disabled:";

// Nothing: it begins among those in force.
std::optional<std::size_t> disabled_index(std::string_view after) {
  if (!after.starts_with(kDisabled)) return std::nullopt;
  std::size_t index = 0;
  std::from_chars(after.data() + kDisabled.size(), after.data() + after.size(), index);
  return index;
}

constexpr int kMaxTexts = 100;

void add_bounded(const std::vector<std::string>& texts, google::protobuf::RepeatedPtrField<std::string>& list) {
  for (const auto& text : texts) {
    if (list.size() == kMaxTexts) {
      *list.Add() = "and " + std::to_string(texts.size() - kMaxTexts) + " more";
      return;
    }
    *list.Add() = bounded_text(text);
  }
}

// Reads services.d on the background thread.
struct FoundServices {
  std::vector<std::string> directories;
  ServiceHost host;
  v1::ServiceCheckResponse found{};

  void find() {
    const auto services = Services::read(directories);
    found.set_services(static_cast<std::uint32_t>(services.size()));
    add_bounded(services.warnings(), *found.mutable_errors());
    add_bounded(service_warnings(services, host), *found.mutable_warnings());
  }
};

}  // namespace

Status ServiceAdmin::list(const v1::ServiceListRequest& request, v1::ServiceListResponse& response) const {
  const auto& services = parts_.catalog.services();
  const auto& disabled = services.disabled();
  auto left = page_size(request.limit());
  auto index = disabled_index(request.after());
  if (!index) {
    std::string last;
    const bool is_whole = services.for_each(request.after(), [&](const ServiceRecord& service) {
      if (left == 0) return false;
      --left;
      last = service.name;
      fill_service(service, parts_.catalog.calls_of(service.name), *response.add_services());
      return true;
    });
    if (!is_whole) response.set_next(last);
    if (!is_whole) return {};
    index = 0;
  }
  for (; left != 0 && *index < disabled.size(); --left, ++*index)
    fill_disabled(disabled[*index], *response.add_services());
  if (*index < disabled.size()) response.set_next(std::string(kDisabled) + std::to_string(*index));
  return {};
}

Status ServiceAdmin::no_service(const std::string& name) const {
  KnownNames known;
  known.add(parts_.catalog.services());
  const auto near = nearest(name, known.services);
  return {Code::kNotFound,
          "no service is named " + in_quotes(name) + "; " +
              (near.empty() ? "hostcallctl service list shows all" : "did you mean " + in_quotes(near) + "?")};
}

Status ServiceAdmin::show(const v1::ServiceShowRequest& request, v1::ServiceShowResponse& response) const {
  const auto& services = parts_.catalog.services();
  const auto service = services.find(request.name());
  if (service) {
    fill_service(*service, parts_.catalog.calls_of(service->name), *response.mutable_service());
    fill_details(*service, response);
    return {};
  }
  const auto* disabled = services.disabled(request.name());
  if (disabled == nullptr) return no_service(request.name());
  fill_disabled(*disabled, *response.mutable_service());
  return {};
}

Handler ServiceAdmin::check() const {
  return find_aside(parts_.background, std::make_shared<FoundServices>(
                                           FoundServices{.directories = parts_.config.services_directories(),
                                                         .host = service_host(parts_.config, parts_.registry)}));
}

// A reload may have removed a service that calls still use.
Status ServiceAdmin::check_filter(const v1::RunListRequest& request) const {
  const auto& vm = request.vm();
  if (!vm.empty() && vm != kAdminName && !parts_.registry.find(vm)) return no_vm(vm);
  const auto& services = parts_.catalog.services();
  const auto& name = request.service();
  const bool is_known = name.empty() || services.find(name) || services.disabled(name) != nullptr;
  return is_known || parts_.catalog.calls_of(name) != 0 ? Status{} : no_service(name);
}

Status ServiceAdmin::list_runs(const v1::RunListRequest& request, v1::RunListResponse& response) const {
  if (auto status = check_filter(request); !status.ok()) return status;
  const auto most = static_cast<int>(page_size(request.limit()));
  const auto now = parts_.reactor.now();
  std::size_t looked_at = 0;
  std::uint64_t last = request.after();
  parts_.host_calls.for_each(request.after(), [&](std::uint64_t number, const ListedHostCall& call) {
    if (response.runs_size() == most || looked_at++ == kMostLookedAt) {
      response.set_next(last);
      return false;
    }
    last = number;
    const auto info = call.info();
    if (!request.vm().empty() && info.caller.name() != request.vm()) return true;
    if (!request.service().empty() && info.service.name != request.service()) return true;
    fill_run(number, info, now, *response.add_runs());
    return true;
  });
  return {};
}

Status ServiceAdmin::kill_run(const v1::RunKillRequest& request, v1::RunKillResponse& response) const {
  auto* call = parts_.host_calls.find(request.number());
  if (call == nullptr)
    return {Code::kNotFound, "no call that uses a service has the number " + std::to_string(request.number()) +
                                 "; hostcallctl run list shows all"};
  fill_run(request.number(), call->info(), parts_.reactor.now(), *response.mutable_run());
  call->end_by_administrator();
  return {};
}

}  // namespace hostcall::daemon
