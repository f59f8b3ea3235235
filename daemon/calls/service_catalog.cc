#include "daemon/calls/service_catalog.h"

#include <algorithm>
#include <chrono>

#include "daemon/handover/outgoing.h"
#include "proto/base/count.h"
#include "proto/base/escape.h"

namespace hostcall::daemon {
namespace {

using wire::Code;
using wire::Status;

// When a caller who waits for a place should ask again.
constexpr milliseconds kRetryWhenFull{250};

Status over_service_limit(const Caller& caller, const ServiceRecord& service, const char* limit,
                          const std::string& value, std::string_view what_to_do, Duration wait) {
  return {Code::kResourceExhausted,
          caller.title() + ": the limit " + std::string(limit) + " (" + value + ") of the service " +
              in_quotes(service.name) + " is reached; " + std::string(what_to_do),
          wait,
          {},
          limit};
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
  auto& mine = use.vms[vm];
  if (mine.limit != limit) mine = {mine.calls, TokenBucket(limit.first, limit.second), limit};
  return mine;
}

}  // namespace

ServiceSlot::ServiceSlot(std::shared_ptr<ServiceUse> use, ServiceUse::PerVm& by_vm)
    : use_(std::move(use)), by_vm_(&by_vm) {
  ++use_->calls;
  ++by_vm_->calls;
}

ServiceSlot& ServiceSlot::operator=(ServiceSlot&& other) noexcept {
  release();
  use_ = std::exchange(other.use_, nullptr);
  by_vm_ = other.by_vm_;
  return *this;
}

void ServiceSlot::release() {
  const auto use = std::exchange(use_, nullptr);
  if (!use) return;
  --use->calls;
  --by_vm_->calls;
}

Services ServiceCatalog::exchange(Services services) {
  auto old = std::exchange(services_, std::move(services));
  ++generation_;
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
  const auto& use = use_of(service.name);
  auto& mine = use_by(caller.name(), service, *use, now);
  if (use->calls >= service.concurrent)
    return over_service_limit(caller, service, "concurrent", std::to_string(service.concurrent),
                              "wait until other calls have ended", kRetryWhenFull);
  if (mine.calls >= service.concurrent_per_vm)
    return over_service_limit(caller, service, "concurrent_per_vm", std::to_string(service.concurrent_per_vm),
                              "wait until one of the VM's own calls has ended", kRetryWhenFull);
  if (mine.limit.first > 0)
    if (const auto wait = mine.starts.take(now); wait > Duration::zero())
      return over_service_limit(caller, service, "start_rate", plain_number(mine.limit.first),
                                "retry in " + std::to_string(std::chrono::ceil<milliseconds>(wait).count()) + " ms",
                                wait);
  slot = ServiceSlot(use, mine);
  return {};
}

const std::shared_ptr<ServiceUse>& ServiceCatalog::use_of(const std::string& service) {
  auto& use = uses_[service];
  if (!use) use = std::make_shared<ServiceUse>();
  return use;
}

void ServiceCatalog::take_again(const ServiceRecord& service, const Caller& caller, TimePoint now, ServiceSlot& slot) {
  const auto& use = use_of(service.name);
  slot = ServiceSlot(use, use_by(caller.name(), service, *use, now));
}

void ServiceCatalog::hand_over(TimePoint now, Outgoing& parcel) const {
  for (const auto& [service, use] : uses_)
    for (const auto& [vm, mine] : use->vms) {
      if (mine.starts.is_full(now)) continue;
      handover::Record record;
      auto& starts = *record.mutable_service_starts();
      starts.set_service(service);
      starts.set_vm(vm);
      starts.mutable_rate()->set_tokens(mine.starts.left(now));
      parcel.write(record);
    }
}

void ServiceCatalog::resume(const handover::ServiceStarts& in, TimePoint now) {
  if (const auto service = services_.find(in.service()))
    use_by(in.vm(), *service, *use_of(in.service()), now).starts.resume(now, in.rate().tokens());
}

}  // namespace hostcall::daemon
