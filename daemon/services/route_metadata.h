// RouteMetadata: what the server of a routed service learns with a call: who is calling, first, and of the caller's own
// metadata what the service's entry lists.
#pragma once

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
  // The metadata that the request brought, whether passed on or not.
  std::size_t looked_at() const { return looked_at_; }
  std::span<const wire::Metadata> list() const { return list_; }

 private:
  std::string_view keep(std::string text) { return kept_.emplace_back(std::move(text)); }

  std::list<std::string> kept_;
  std::vector<wire::Metadata> list_;
  std::size_t looked_at_ = 0;
};

}  // namespace hostcall::daemon
