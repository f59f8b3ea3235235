// Accounts for what a VM makes the daemon hold: charge before keeping something, release when it goes. Only a Charge
// can use a quota, so a balance other than zero at the end is a bug. Inline, because each call is charged several
// times.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <utility>

#include "daemon/config/limits.h"
#include "proto/base/clock.h"
#include "proto/base/linked_list.h"

namespace hostcall::daemon {

enum class Resource : std::uint8_t { kConnections, kStreams, kMemory, kOutbound, kWatches };
inline constexpr std::size_t kResources = 5;

// Waits until so many outbound bytes are left.
class RoomWaiter : private Linked {
 public:
  virtual ~RoomWaiter() = default;

 protected:
  // They are left. Called from within whatever has given them back, so the work must come later.
  virtual void has_room() = 0;
  // Required before what has_room() needs dies: its own charges may be what it waits for.
  void stop_waiting_for_room() { unlink(); }

 private:
  friend class Quota;
  friend class LinkedList<RoomWaiter>;
  std::uint64_t needed_ = 0;
};

// Must outlive its charges, otherwise aborts.
class Quota {
 public:
  explicit Quota(const Limits& limits) { set_limits(limits); }
  ~Quota();
  Quota(const Quota&) = delete;
  Quota& operator=(const Quota&) = delete;

  const Limits& limits() const { return limits_; }
  // New limits apply to new charges. Existing charges above them stay until released.
  void set_limits(const Limits& limits);
  std::uint64_t used(Resource resource) const { return used_[static_cast<std::size_t>(resource)]; }
  std::uint64_t limit(Resource resource) const { return bounds_[static_cast<std::size_t>(resource)]; }
  std::uint64_t left(Resource resource) const { return limit(resource) - std::min(limit(resource), used(resource)); }
  // Who waits already waits for the lesser of both.
  void wait_for_room(RoomWaiter& waiter, std::uint64_t outbound_bytes);

 private:
  friend class Charge;
  [[nodiscard]] bool take(Resource resource, std::uint64_t amount) {
    if (amount > left(resource)) return false;
    take_anyway(resource, amount);
    return true;
  }
  void take_anyway(Resource resource, std::uint64_t amount) { used_[static_cast<std::size_t>(resource)] += amount; }
  void give(Resource resource, std::uint64_t amount) {
    if (amount > used(resource)) die("more given back than charged", resource, amount);
    used_[static_cast<std::size_t>(resource)] -= amount;
    if (resource == Resource::kOutbound && !waiting_.empty()) wake_waiting();
  }
  [[gnu::cold]] void wake_waiting();
  [[noreturn, gnu::cold]] static void die(const char* what, Resource resource, std::uint64_t amount);

  Limits limits_;
  std::array<std::uint64_t, kResources> bounds_{};  // the limits that a Charge can use
  std::array<std::uint64_t, kResources> used_{};
  LinkedList<RoomWaiter> waiting_;
};

// Holds an amount of a quota, or nothing. Without a quota it counts for nobody and never refuses: for administrators
// and refused callers.
class Charge {
 public:
  Charge() = default;
  // An empty charge on the quota.
  Charge(Quota& quota, Resource resource) : quota_(&quota), resource_(resource) {}
  Charge(Charge&& other) noexcept
      : quota_(other.quota_), amount_(std::exchange(other.amount_, 0)), resource_(other.resource_) {}
  Charge& operator=(Charge&& other) noexcept;
  ~Charge() { reset(); }

  // False: this would exceed the limit; nothing changes.
  [[nodiscard]] bool try_grow(std::uint64_t amount) {
    if (quota_ != nullptr && !quota_->take(resource_, amount)) return false;
    amount_ += amount;
    return true;
  }
  void shrink(std::uint64_t amount) {
    if (amount == 0) return;
    if (amount > amount_) Quota::die("charge shrunk below zero", resource_, amount);
    if (quota_ != nullptr) quota_->give(resource_, amount);
    amount_ -= amount;
  }
  // Sets the amount, even above the limit, because the bytes exist already.
  void set(std::uint64_t amount) {
    if (amount <= amount_) return shrink(amount_ - amount);
    if (quota_ != nullptr) quota_->take_anyway(resource_, amount - amount_);
    amount_ = amount;
  }
  void reset() { shrink(amount_); }
  std::uint64_t amount() const { return amount_; }

 private:
  Quota* quota_ = nullptr;
  std::uint64_t amount_ = 0;
  Resource resource_ = Resource::kMemory;
};

// A rate with a burst: starts with `burst` tokens (1 or more) and gains `rate` (above 0) per second.
class TokenBucket {
 public:
  TokenBucket(double rate, double burst) : rate_(rate), burst_(burst), tokens_(burst) {}
  // Takes so many tokens, all or none. Zero: granted; otherwise the time until they are there: never, if the bucket
  // can't hold as many.
  [[nodiscard]] Duration take(TimePoint now, double amount = 1);
  // The time until so many tokens are there, without taking them.
  Duration wait_for(TimePoint now, double amount = 1) const;
  // Returns tokens that were taken for nothing.
  void give_back(double amount) { tokens_ = std::min(burst_, tokens_ + amount); }
  // Whether so many tokens can ever be there.
  bool can_hold(double amount) const { return amount <= burst_; }
  // Tokens there now.
  double left(TimePoint now) const;

 private:
  double rate_, burst_, tokens_;
  TimePoint last_{};
};

}  // namespace hostcall::daemon
