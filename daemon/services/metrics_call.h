// MetricsCall: Admin/Metrics, which streams the metrics as text.
#pragma once

#include <string>

#include "daemon/calls/call.h"
#include "daemon/services/metrics_text.h"

namespace hostcall::daemon {

class MetricsCall final : public CallHandler {
 public:
  MetricsCall(const MetricSources& sources, MetricsFormat format) : text_(sources, format) {}

  void on_writable() override { send_on(); }

 private:
  void start() override { send_on(); }
  void send_on();

  MetricsText text_;
  v1::MetricsTextResponse part_;  // to be sent next
};

}  // namespace hostcall::daemon
