// The extension's flow control: credit in bytes, one window per stream and direction and one per connection and
// direction. A Data frame costs its data plus kDataFrameCost.
//
// A sender may send while its credit is above zero, and pays for the whole frame: a message larger than the window
// can't stall, and the overdraft is at most one message.
#pragma once

#include <algorithm>
#include <cstdint>

#include "proto/wire/frame.h"

namespace hostcall::wire {

inline constexpr std::int64_t kMaxCredit = 0x7FFFFFFF;
// Credit is granted in parts: early enough that a sender of a few large messages need not wait for the last of them to
// be used, and seldom enough that small messages do not cost a frame each.
inline constexpr std::int64_t kGrantsPerWindow = 4;

inline std::int64_t data_cost(std::size_t data_bytes) { return static_cast<std::int64_t>(data_bytes) + kDataFrameCost; }

class SendWindow {
 public:
  explicit SendWindow(std::int64_t credit) : credit_(credit) {}
  bool open() const { return credit_ > 0; }
  std::int64_t credit() const { return credit_; }
  void pay(std::int64_t cost) { credit_ -= cost; }
  // False: the peer granted more than a window may hold.
  [[nodiscard]] bool add(std::uint32_t credit) { return (credit_ += credit) <= kMaxCredit; }

 private:
  std::int64_t credit_;
};

struct ReceiveWindowState {
  std::int64_t initial = 0;
  std::int64_t credit = 0;  // that the peer has
  std::int64_t owed = 0;    // that it gets with the next grant
};

class ReceiveWindow {
 public:
  explicit ReceiveWindow(std::uint32_t credit) : now_{.initial = credit, .credit = credit} {}
  explicit ReceiveWindow(const ReceiveWindowState& state) : now_(state) {}
  const ReceiveWindowState& state() const { return now_; }
  // False: the peer had no credit left.
  [[nodiscard]] bool take(std::int64_t cost) {
    if (now_.credit <= 0) return false;
    now_.credit -= cost;
    return true;
  }
  // Credit on top of the initial one.
  void add(std::uint32_t credit) { now_.credit += credit; }
  // The receiver has used messages of this cost. Returns the credit to grant now; 0: too little for a frame yet.
  std::uint32_t used(std::int64_t cost) {
    now_.owed += cost;
    if (now_.owed < now_.initial / kGrantsPerWindow) return 0;
    const std::int64_t grant = std::min<std::int64_t>(now_.owed, kMaxCredit);
    now_.owed -= grant;
    now_.credit += grant;
    return static_cast<std::uint32_t>(grant);
  }

 private:
  ReceiveWindowState now_;
};

}  // namespace hostcall::wire
