// What one daemon hands over to the next: a state, as bytes, and the descriptors that it names. systemd keeps both from
// one process to the next, as two descriptors beside which it needs to know nothing: a sealed file in memory
// (state_file.h), and a socket in which all others are in flight (carrier.h). It would compare each stored descriptor
// with all before it, so thousands of them are not stored one by one.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/loop/inherited.h"
#include "proto/base/result.h"
#include "proto/base/unique_fd.h"

namespace hostcall::daemon {

struct Parcel {
  std::string state;
  std::vector<UniqueFd> descriptors;  // in the order in which they were given
};

// Gives a parcel to systemd, in the place of any earlier one. Blocks for 2 seconds at most. The descriptors stay the
// caller's. An error: systemd has not kept it (nothing of it is stored), and the daemon can go on.
Done give_to_systemd(std::string_view state, std::span<const int> descriptors);

// The parcel that an earlier daemon has given, out of what this one has inherited. Nothing: there is none. An error: it
// can't be read; the text is for the journal. Call it after all else that can make a start fail: each call is one of
// two attempts, and systemd repeats a start that fails. systemd keeps the parcel until forget_at_systemd(), so that a
// daemon that fails before leaves it to the next one; the third attempt is an error. The descriptors are copies with
// new numbers, close-on-exec.
Result<std::optional<Parcel>> take_from_systemd(StoredDescriptors stored);

// Makes systemd forget the parcel, whether or not it could be read. Required before the first byte moves through one of
// its descriptors: afterwards the state is no longer true. Blocks for 2 seconds at most. An error: systemd may still
// keep it. No-op without systemd.
Done forget_at_systemd();

}  // namespace hostcall::daemon
