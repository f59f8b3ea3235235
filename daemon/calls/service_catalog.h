// ServiceCatalog: the services of services.d that are in force, and how many calls use each.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "daemon/config/service_file.h"
#include "daemon/handover/forward.h"
#include "daemon/vms/caller.h"
#include "daemon/vms/quota.h"
#include "proto/wire/status.h"

namespace hostcall::daemon {

// What all calls of one service take together. Outlives a reload, and the service's removal until the last call ends.
struct ServiceUse {
  struct PerVm {
    std::uint32_t calls = 0;
    TokenBucket starts{0, 1};
    std::pair<double, double> limit{0, 1};  // rate and burst of `starts`
  };
  std::uint32_t calls = 0;
  std::map<std::string, PerVm> vms;  // by name
  std::size_t forget_at = 64;        // when there are so many, those that take nothing are forgotten
};

// A call's place among those that a service may serve at once. Returned when it dies.
class ServiceSlot {
 public:
  ServiceSlot() = default;
  // Takes the place. An entry with a call is never forgotten.
  ServiceSlot(std::shared_ptr<ServiceUse> use, ServiceUse::PerVm& by_vm);
  ServiceSlot(ServiceSlot&&) = default;
  ServiceSlot& operator=(ServiceSlot&& other) noexcept;
  ~ServiceSlot() { release(); }

 private:
  void release();

  std::shared_ptr<ServiceUse> use_;  // null: none
  ServiceUse::PerVm* by_vm_ = nullptr;
};

class ServiceCatalog {
 public:
  explicit ServiceCatalog(Services services) : services_(std::move(services)) {}

  const Services& services() const { return services_; }
  // Another number after each exchange().
  std::uint64_t generation() const { return generation_; }
  // Puts others in force, and returns the old ones, so that the caller chooses when to free them. Running calls finish
  // as they began.
  Services exchange(Services services);
  // The number of calls that use the service now.
  std::uint32_t calls_of(std::string_view service) const;
  // The number of VMs of which something is kept for the service.
  std::size_t known_vms(std::string_view service) const;

  // Finds a service for a call that policy has allowed. NOT_FOUND: there is none; UNAVAILABLE: it is disabled.
  wire::Status find(std::string_view name, std::shared_ptr<const ServiceRecord>& found) const;
  // Takes a place, and a start off the rate if there is one. RESOURCE_EXHAUSTED: which limit of the service is reached.
  wire::Status take(const ServiceRecord& service, const Caller& caller, TimePoint now, ServiceSlot& slot);
  // For a call that an earlier daemon has begun: takes a place whatever the limits are now.
  void take_again(const ServiceRecord& service, const Caller& caller, TimePoint now, ServiceSlot& slot);
  // What VMs have used of start rates, from one daemon to the next.
  void hand_over(TimePoint now, Outgoing& parcel) const;
  void resume(const handover::ServiceStarts& in, TimePoint now);

 private:
  const std::shared_ptr<ServiceUse>& use_of(const std::string& service);

  Services services_;
  std::uint64_t generation_ = 1;
  std::map<std::string, std::shared_ptr<ServiceUse>, std::less<>> uses_;
};

}  // namespace hostcall::daemon
