// RouteMetadata: what the server of a routed service learns with a call: who is calling, first, and of the caller's own
// metadata what the service's entry lists.
#pragma once

#include <array>
#include <cstdint>
#include <list>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/config/service_record.h"
#include "daemon/vms/caller.h"
#include "proto/wire/message.h"

namespace hostcall::daemon {

class RouteMetadata {
 public:
  // The most of the caller's metadata that is passed on.
  static constexpr std::size_t kMaxPairs = 32;
  static constexpr std::size_t kMaxBytes = 8192;

  // `boot_id`: what the caller's session has told; empty: none. The caller, which is a VM, must outlive this.
  RouteMetadata(const Caller& caller, std::string_view boot_id, std::uint64_t call);
  // Adds views into the request. INVALID_ARGUMENT: what must be passed on can't be.
  wire::Status add(const wire::RequestView& request, const RoutedService& service);
  RouteMetadata(const RouteMetadata&) = delete;
  RouteMetadata& operator=(const RouteMetadata&) = delete;
  // The metadata that the request brought, whether passed on or not.
  std::size_t looked_at() const { return looked_at_; }
  std::span<const wire::Metadata> list() const { return list_; }

 private:
  // hostcall's own, of which there are at most so many.
  static constexpr std::size_t kOwnPairs = 5;

  std::string incarnation_;
  std::array<char, 20> call_id_;
  std::list<std::string> kept_;  // the caller's keys
  std::vector<wire::Metadata> list_;
  std::size_t looked_at_ = 0;
};

}  // namespace hostcall::daemon
