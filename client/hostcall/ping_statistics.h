// PingStatistics: what a run of pings amounts to, as ping(8) sums it up.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "proto/base/clock.h"

namespace hostcall::cli::guest {

class PingStatistics {
 public:
  void sent() { ++transmitted_; }
  // A reply came after that time.
  void received(nanoseconds time);
  std::size_t received_count() const { return times_.size(); }

  // The smallest time that at least this share of all replies did not exceed (nearest rank). Needs a reply.
  nanoseconds percentile(double percent) const;

  // "--- web1 ping statistics ---", counts, and times if there are any.
  std::string to_text(std::string_view peer) const;
  // {"vm", "host", "transmitted", "received", "lossPercent", "minMs", "medianMs", "p99Ms", "maxMs"}, one line; the
  // times are null without a reply.
  std::string to_json(std::string_view vm, std::string_view host) const;

 private:
  double loss_percent() const;
  std::size_t transmitted_ = 0;
  std::vector<nanoseconds> times_;  // sorted
};

}  // namespace hostcall::cli::guest
