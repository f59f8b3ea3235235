#include "daemon/calls/service_catalog.h"

#include <algorithm>
#include <chrono>

#include "proto/base/count.h"
#include "proto/base/escape.h"

namespace hostcall::daemon {
namespace {

using wire::Code;
using wire::Status;

Status over_service_limit(const Caller& caller, const ServiceRecord& service, std::string_view limit,
                          const std::string& value, std::string_view what_to_do, Duration wait = {}) {
  return {Code::kResourceExhausted,
          caller.title() + ": the limit " + std::string(limit) + " (" + value + ") of the service " +
              in_quotes(service.name) + " is reached; " + std::string(what_to_do),
          wait};
}

std::pair<double, double> starts_of(const ServiceRecord& service) {
  const auto* program = service.program();
  if (program != nullptr) return {program->start_rate, program->start_burst};
  if (service.socket() != nullptr) return {service.socket()->start_rate, service.socket()->start_burst};
  return {0, 1};  // calls of servers have the rates of policy
}

// VMs come and go for years.
void forget_idle(ServiceUse& use, TimePoint now) {
  std::erase_if(use.vms,
                [now](const auto& entry) { return entry.second.calls == 0 && entry.second.starts.is_full(now); });
  use.forget_at = std::max(use.forget_at, 2 * use.vms.size());
}

ServiceUse::PerVm& use_by(const std::string& vm, const ServiceRecord& service, ServiceUse& use, TimePoint now) {
  if (use.vms.size() >= use.forget_at) forget_idle(use, now);
  const auto limit = starts_of(service);
  const auto fresh = [&](std::uint32_t calls) {
    return ServiceUse::PerVm{calls, TokenBucket(limit.first, limit.second), limit};
  };
  const auto [at, is_new] = use.vms.try_emplace(vm, fresh(0));
  if (at->second.limit != limit) at->second = fresh(at->second.calls);
  return at->second;
}

}  // namespace

ServiceSlot& ServiceSlot::operator=(ServiceSlot&& other) noexcept {
  release();
  use_ = std::exchange(other.use_, nullptr);
  vm_ = std::move(other.vm_);
  return *this;
}

void ServiceSlot::release() {
  const auto use = std::exchange(use_, nullptr);
  if (!use) return;
  --use->calls;
  --use->vms.at(vm_).calls;
}

Services ServiceCatalog::exchange(Services services) {
  auto old = std::exchange(services_, std::move(services));
  std::erase_if(uses_, [this](const auto& use) { return use.second->calls == 0 && !services_.find(use.first); });
  return old;
}

std::uint32_t ServiceCatalog::calls_of(std::string_view service) const {
  const auto at = uses_.find(service);
  return at == uses_.end() ? 0 : at->second->calls;
}

std::size_t ServiceCatalog::known_vms(std::string_view service) const {
  const auto at = uses_.find(service);
  return at == uses_.end() ? 0 : at->second->vms.size();
}

Status ServiceCatalog::find(std::string_view name, std::shared_ptr<const ServiceRecord>& found) const {
  found = services_.find(name);
  if (found) return {};
  if (services_.disabled(name) != nullptr)
    return {Code::kUnavailable,
            "the service " + in_quotes(name) +
                " is disabled, because its entry on the host has an error; see hostcallctl service check"};
  return {Code::kNotFound, "the host has no service " + in_quotes(name) + "; its administrator adds one in services.d"};
}

Status ServiceCatalog::take(const ServiceRecord& service, const Caller& caller, TimePoint now, ServiceSlot& slot) {
  auto& use = uses_[service.name];
  if (!use) use = std::make_shared<ServiceUse>();
  const auto vm = caller.name();
  auto& mine = use_by(vm, service, *use, now);
  if (use->calls >= service.concurrent)
    return over_service_limit(caller, service, "concurrent", std::to_string(service.concurrent),
                              "wait until other calls have ended");
  if (mine.calls >= service.concurrent_per_vm)
    return over_service_limit(caller, service, "concurrent_per_vm", std::to_string(service.concurrent_per_vm),
                              "end one of the VM's own calls first");
  if (mine.limit.first > 0)
    if (const auto wait = mine.starts.take(now); wait > Duration::zero())
      return over_service_limit(caller, service, "start_rate", plain_number(mine.limit.first),
                                "retry in " + std::to_string(std::chrono::ceil<milliseconds>(wait).count()) + " ms",
                                wait);
  ++use->calls;
  ++mine.calls;
  slot = ServiceSlot(use, vm);
  return {};
}

}  // namespace hostcall::daemon
