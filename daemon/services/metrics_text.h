// MetricsText: the metrics as text, one metric at a time, so that no turn of the reactor writes all. In Prometheus'
// text format 0.0.4, or in OpenMetrics 1.0.
#pragma once

#include <cstddef>
#include <string>

#include "daemon/services/metrics.h"

namespace hostcall::daemon {

enum class MetricsFormat : std::uint8_t { kPrometheus, kOpenMetrics };

class MetricsText {
 public:
  // `sources` must outlive this.
  MetricsText(const MetricSources& sources, MetricsFormat format) : sources_(sources), format_(format) {}

  // Appends the next metric. False: there is none left, and nothing was appended.
  bool append_next(std::string& out);

 private:
  const MetricSources& sources_;
  const MetricsFormat format_;
  std::size_t next_ = 0;
};

// The name without what its samples have behind it: "hostcall_calls" of "calls".
std::string family_name(const Metric& metric);

}  // namespace hostcall::daemon
