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

class RoomWaiter;

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

  // Messages of streams that the outbound bytes have no room for wait for it in a queue, first in, first out: otherwise
  // small ones would take whatever comes free, and a large one would never have enough.
  // Whether a message may be sent now: it has room, and no other one waits.
  bool has_room_for_message(std::uint64_t bytes) const { return waiting_.empty() && fits_now(bytes); }
  // Whether a message does not even fit if nothing else is unsent. It must not wait.
  bool never_fits(std::uint64_t bytes) const { return bytes >= limits_.outbound_bytes; }
  // How it waits: behind all others, or before them, because it has had its turn, but with a smaller message.
  enum class Place : bool { kLast, kFirst };
  // The waiter, which holds no room, waits for room for a message. One that waits already keeps its place.
  void wait_for_room(RoomWaiter& waiter, std::uint64_t message_bytes, Place place = Place::kLast);

 private:
  friend class Charge;
  friend class RoomWaiter;
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
  // A message leaves a quarter to the replies of other calls, unless it is larger than the rest.
  std::uint64_t room_for(std::uint64_t message_bytes) const {
    const auto limit = limits_.outbound_bytes;
    return message_bytes < limit - limit / 4 ? message_bytes + limit / 4 : message_bytes;
  }
  bool fits_now(std::uint64_t message_bytes) const { return left(Resource::kOutbound) > room_for(message_bytes); }
  [[gnu::cold]] void wake_waiting();
  [[noreturn, gnu::cold]] static void die(const char* what, Resource resource, std::uint64_t amount);

  Limits limits_;
  std::array<std::uint64_t, kResources> bounds_{};  // the limits that a Charge can use
  std::array<std::uint64_t, kResources> used_{};
  LinkedList<RoomWaiter> waiting_;  // the first one does not fit now
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

// Waits until a VM's outbound bytes have room for a message. Then the room is charged, so that nobody else takes it
// before the message is sent.
class RoomWaiter : private Linked {
 public:
  // Requires stop_waiting() or forget_waiting().
  virtual ~RoomWaiter() = default;
  // Whether room is charged, and whether it is enough for so many bytes.
  bool holds_room() const { return room_.amount() != 0; }
  bool holds_room_for(std::uint64_t message_bytes) const { return room_.amount() > message_bytes; }
  // Required once the message is sent, or if there is none after all.
  void give_up_room() { room_.reset(); }
  // Gives up its place, or its room. Those behind it may have room now.
  void stop_waiting();
  // The same, but wakes nobody before the destructor. For who might be woken in the middle of its own end.
  void forget_waiting() {
    unlink();
    quota_ = nullptr;
  }

 protected:
  // It has room now; or its message never fits any more, because the limits have changed. Called from within whatever
  // has given the bytes back, so the work must come later. Until then, it may be put into a list.
  virtual void on_room() = 0;

 private:
  friend class Quota;
  friend class LinkedList<RoomWaiter>;
  Quota* quota_ = nullptr;  // while it waits
  std::uint64_t message_bytes_ = 0;
  Charge room_;
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
  // Nothing of it is used.
  bool is_full(TimePoint now) const { return left(now) >= burst_; }
  double rate() const { return rate_; }
  double burst() const { return burst_; }
  // Leaves as many tokens as another daemon has left.
  void resume(TimePoint now, double tokens) {
    tokens_ = std::clamp(tokens, 0.0, burst_);
    last_ = now;
  }

 private:
  double rate_, burst_, tokens_;
  TimePoint last_{};
};

}  // namespace hostcall::daemon
