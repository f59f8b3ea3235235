#include "daemon/runner/running.h"

#include "proto/base/count.h"
#include "proto/base/escape.h"

namespace hostcall::daemon {
namespace {

using wire::Code;
using wire::Status;

constexpr seconds kRetryAfter{1};

template <class Counts, class Key>
std::uint32_t number_of(const Counts& counts, const Key& key) {
  const auto at = counts.find(key);
  return at == counts.end() ? 0 : at->second;
}

template <class Counts, class Key>
void decrease(Counts& counts, const Key& key) {
  const auto at = counts.find(key);
  if (--at->second == 0) counts.erase(at);
}

Status full(const std::string& who, std::uint32_t limit, const std::string& name) {
  return {Code::kResourceExhausted, who + " already has " + count(limit, "program") + " running, the limit " + name,
          kRetryAfter};
}

}  // namespace

wire::Status Running::take(const ServiceRecord& service, const std::string& vm, Place& place) {
  Place::Key key(service.name, vm);
  const auto who = "service " + in_quotes(service.name);
  if (count_ >= kMaxRunning) return {Code::kResourceExhausted, "the host runs too many programs", kRetryAfter};
  if (number_of(by_service_, service.name) >= service.concurrent) return full(who, service.concurrent, "concurrent");
  if (number_of(by_vm_, key) >= service.concurrent_per_vm)
    return full(who + " for VM " + in_quotes(vm), service.concurrent_per_vm, "concurrent_per_vm");
  ++count_;
  ++by_service_[service.name];
  ++by_vm_[key];
  place = Place(*this, std::move(key));
  return {};
}

Running::Place& Running::Place::operator=(Place&& other) noexcept {
  if (this == &other) return *this;
  give_back();
  running_ = std::exchange(other.running_, nullptr);
  key_ = std::move(other.key_);
  return *this;
}

void Running::Place::give_back() {
  auto* const running = std::exchange(running_, nullptr);
  if (running == nullptr) return;
  --running->count_;
  decrease(running->by_service_, key_.first);
  decrease(running->by_vm_, key_);
}

}  // namespace hostcall::daemon
