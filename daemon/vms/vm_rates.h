// VmRates: how much a VM does per second now: the difference of its counts from a sample that is some seconds old.
#pragma once

#include <cstdint>
#include <optional>

#include "daemon/vms/vm_counts.h"
#include "proto/base/clock.h"

namespace hostcall::daemon {

struct Rates {
  double calls = 0, denied = 0, bytes = 0;  // per second; bytes of both directions
  Duration window{};                        // in which they were counted; zero: there is no sample yet
};

class VmRates {
 public:
  // Call it every few seconds: the rates are those since the sample before the last one.
  void sample(const VmCounts& counts, TimePoint now) {
    older_ = newer_;
    newer_ = Sample{now, counts.calls, counts.denied, counts.bytes_in + counts.bytes_out};
    if (!older_) older_ = newer_;
  }
  Rates of(const VmCounts& counts, TimePoint now) const {
    if (!older_ || now <= older_->at) return {};
    const auto window = now - older_->at;
    const auto per_second = [window](std::uint64_t count) {
      return static_cast<double>(count) / std::chrono::duration<double>(window).count();
    };
    return {.calls = per_second(counts.calls - older_->calls),
            .denied = per_second(counts.denied - older_->denied),
            .bytes = per_second(counts.bytes_in + counts.bytes_out - older_->bytes),
            .window = window};
  }

 private:
  struct Sample {
    TimePoint at;
    std::uint64_t calls, denied, bytes;
  };
  std::optional<Sample> older_, newer_;
};

}  // namespace hostcall::daemon
