// PingStatistics: the summary of a run of pings, in the style of ping(8).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "proto/base/clock.h"

namespace hostcall::cli::guest {

class PingStatistics {
 public:
  void sent() { ++transmitted_; }
  // A reply came after this time.
  void received(nanoseconds time);
  std::size_t received_count() const { return times_.size(); }

  // By nearest rank. Requires a reply.
  nanoseconds percentile(double percent) const;

  // "--- web1 ping statistics ---", the counts, and the times if there are any.
  std::string to_text(std::string_view peer) const;
  // {"vm", "host", "transmitted", "received", "lossPercent", "minMs", "medianMs", "p99Ms", "maxMs"} in one line;
  // the times are null without a reply.
  std::string to_json(std::string_view vm, std::string_view host) const;

 private:
  double loss_percent() const;
  std::size_t transmitted_ = 0;
  std::vector<nanoseconds> times_;  // sorted
};

}  // namespace hostcall::cli::guest
