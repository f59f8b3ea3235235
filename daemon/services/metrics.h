// Metrics: what hostcalld tells of itself, in one table, which `hostcallctl stats`, `hostcallctl metrics`, metrics.sock
// and tests share. Labels are words of this program or of administrators, never a guest's.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <span>
#include <string_view>

#include "daemon/calls/access.h"
#include "daemon/calls/router.h"
#include "daemon/calls/server_control.h"
#include "daemon/calls/stats.h"
#include "daemon/config/config.h"
#include "daemon/services/host_calls.h"
#include "daemon/store/engine.h"
#include "daemon/vms/registry.h"
#include "hostcall/v1/admin.pb.h"
#include "proto/base/histogram.h"

namespace hostcall::daemon {

// Where the values come from. All must outlive their readers.
struct MetricSources {
  const Stats& stats;
  const Config& config;
  const Registry& registry;
  const Access& access;
  const Router& router;
  const HostCalls& host_calls;
  const store::Engine& store;
  const v1::StoreCondition& store_condition;
  const ServerControl& server;
  double started = 0;  // seconds of the wall clock
};

struct Label {
  std::string_view name, value;
};
using Labels = std::initializer_list<Label>;

// Takes the samples of one metric.
class Samples {
 public:
  virtual void add(Labels labels, double value) = 0;
  virtual void add(Labels labels, const DurationHistogram& histogram) = 0;

  void add(double value) { add({}, value); }
  void add(std::uint64_t value) { add({}, static_cast<double>(value)); }
  void add(Labels labels, std::uint64_t value) { add(labels, static_cast<double>(value)); }

 protected:
  ~Samples() = default;
};

struct Metric {
  enum class Kind : std::uint8_t { kCounter, kGauge, kHistogram };
  // Whether `hostcallctl stats` shows the sum of its samples.
  enum class Shown : bool { kAsSeries, kInStats };

  std::string_view name;  // in stats; the text formats put "hostcall_" before it, and "_total" behind a counter's
  std::string_view help;
  Kind kind;
  Shown shown;
  void (*read)(const MetricSources& sources, Samples& samples);
};

// Sorted by name.
std::span<const Metric> all_metrics();

// The most VMs with series of their own; further ones share those of the VM "_other".
inline constexpr std::size_t kMaxVmSeries = 1000;

// Fills in the metrics that stats shows.
void fill_stats(const MetricSources& sources, v1::StatsResponse& response);

}  // namespace hostcall::daemon
