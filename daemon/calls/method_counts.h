// MethodCounts: how the calls of a method have ended, and how long they took. MethodTally holds those of all methods.
// Names that a guest invents never become a part of it.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <utility>

#include "proto/base/histogram.h"
#include "proto/wire/status.h"

namespace hostcall::daemon {

class MethodCounts {
 public:
  // gRPC's codes, and one for all others, which the server of a routed service may invent.
  static constexpr std::size_t kCodes = 18;

  void ended(wire::Code code, Duration took) {
    ++by_code_[std::min(static_cast<std::uint32_t>(code), kOtherCode)];
    latency_.add(took);
  }
  // A call has ended with OK in the turn that brought it. Most do, so this is all that is done for those that are not
  // timed; see TimingPace.
  void succeeded() { ++untimed_; }
  // How long the latest of those took, which stands for the ones before it.
  void timed(Duration took) {
    by_code_[0] += untimed_;
    latency_.add(took, std::exchange(untimed_, 0));
  }

  // `code`: below kCodes.
  std::uint64_t ended_with(std::size_t code) const { return by_code_[code] + (code == 0 ? untimed_ : 0); }
  const DurationHistogram& latency() const { return latency_; }

 private:
  static constexpr std::uint32_t kOtherCode = kCodes - 1;
  std::array<std::uint64_t, kCodes> by_code_{};
  std::uint64_t untimed_ = 0;  // not in by_code_ yet
  DurationHistogram latency_;
};

class MethodTally {
 public:
  // The most methods of routed services that have counts of their own.
  static constexpr std::size_t kMostRouted = 200;

  // Of a method of the daemon.
  MethodCounts& of(const std::string& name) { return named_[name]; }
  // Of a method of a routed service, which the administrator's descriptors name.
  MethodCounts& of_routed(const std::string& name) {
    if (const auto at = named_.find(name); at != named_.end()) return at->second;
    if (routed_count_ == kMostRouted) return routed;
    ++routed_count_;
    return named_[name];
  }

  MethodCounts unknown;  // there is no such method
  MethodCounts refused;  // before the method was looked at
  MethodCounts routed;   // of services without descriptors, and beyond kMostRouted

  // By name. Those that are not one method's are called "_unknown", "_refused" and "_routed".
  void for_each(const std::function<void(std::string_view name, const MethodCounts&)>& visit) const {
    visit("_refused", refused);
    visit("_routed", routed);
    visit("_unknown", unknown);
    for (const auto& [name, counts] : named_) visit(name, counts);
  }

 private:
  std::map<std::string, MethodCounts> named_;
  std::size_t routed_count_ = 0;
};

}  // namespace hostcall::daemon
