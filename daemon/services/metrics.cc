#include "daemon/services/metrics.h"

#include <ctime>
#include <fstream>
#include <string>

#include <unistd.h>

#include "daemon/config/policy.h"

namespace hostcall::daemon {
namespace {

using Kind = Metric::Kind;
using Shown = Metric::Shown;

double seconds_of(Duration duration) { return std::chrono::duration<double>(duration).count(); }

// ---------------------------------------------------------------- calls

void read_calls(const MetricSources& sources, Samples& samples) {
  sources.router.tally().for_each([&](std::string_view method, const MethodCounts& counts) {
    for (std::size_t code = 0; code < MethodCounts::kCodes; ++code) {
      if (counts.ended_with(code) == 0) continue;
      const auto* name = wire::find_code_name(static_cast<wire::Code>(code));
      samples.add({{"method", method}, {"code", name == nullptr ? "_other" : name}}, counts.ended_with(code));
    }
  });
}

void read_durations(const MetricSources& sources, Samples& samples) {
  sources.router.tally().for_each([&](std::string_view method, const MethodCounts& counts) {
    if (counts.latency().count() != 0) samples.add({{"method", method}}, counts.latency());
  });
}

void read_counts(const CountsByReason& counts, std::string_view label, Samples& samples) {
  for (const auto& [reason, count] : counts) samples.add({{label, reason}}, count);
}

// Of all VMs.
std::uint64_t used(const MetricSources& sources, Resource resource) {
  std::uint64_t sum = 0;
  for (const auto& [name, vm] : sources.registry.all()) sum += vm->quota.used(resource);
  return sum;
}

void read_host_calls(const MetricSources& sources, Samples& samples) {
  std::uint64_t programs = 0, sockets = 0, servers = 0;
  sources.host_calls.for_each(0, [&](std::uint64_t, const ListedHostCall& call) {
    const auto info = call.info();
    ++(info.service.program() != nullptr ? programs : info.service.routed() != nullptr ? servers : sockets);
    return true;
  });
  samples.add({{"kind", "program"}}, programs);
  samples.add({{"kind", "server"}}, servers);
  samples.add({{"kind", "socket"}}, sockets);
}

void read_connections(const MetricSources& sources, Samples& samples) {
  const auto open = sources.server.connections();
  samples.add({{"kind", "administrator"}}, std::uint64_t{open.administrators});
  samples.add({{"kind", "guest"}}, std::uint64_t{open.guests});
  samples.add({{"kind", "refused"}}, std::uint64_t{open.refused});
}

// ---------------------------------------------------------------- the process

// Pages, from the second word of /proc/self/statm.
double resident_bytes() {
  std::ifstream file("/proc/self/statm");
  double size = 0, resident = 0;
  file >> size >> resident;
  return resident * static_cast<double>(::sysconf(_SC_PAGESIZE));
}

double cpu_seconds() {
  timespec used{};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
  return static_cast<double>(used.tv_sec) + static_cast<double>(used.tv_nsec) / 1e9;
}

// ---------------------------------------------------------------- VMs

using ReadVm = double (*)(const Vm&);

template <ReadVm read>
void read_vms(const MetricSources& sources, Samples& samples) {
  if (!sources.config.metrics_per_vm) return;
  std::size_t shown = 0;
  double others = 0;
  for (const auto& [name, vm] : sources.registry.all()) {
    if (++shown <= kMaxVmSeries)
      samples.add({{"vm", name}}, read(*vm));
    else
      others += read(*vm);
  }
  if (shown > kMaxVmSeries) samples.add({{"vm", "_other"}}, others);
}

double number(std::uint64_t value) { return static_cast<double>(value); }

// Sorted by name.
constexpr Metric kMetrics[] = {
    {"build_info", "The version of hostcalld; always 1.", Kind::kGauge, Shown::kAsSeries,
     [](const MetricSources&, Samples& out) {
       out.add({{"version", HOSTCALL_VERSION}}, std::uint64_t{1});
     }},
    {"bytes_in", "Bytes that connections have received.", Kind::kCounter, Shown::kInStats,
     [](const MetricSources& from, Samples& out) { out.add(from.stats.bytes_in); }},
    {"bytes_out", "Bytes that connections have sent.", Kind::kCounter, Shown::kInStats,
     [](const MetricSources& from, Samples& out) { out.add(from.stats.bytes_out); }},
    {"call_duration_seconds",
     "How long calls took, from the turn that took the request to the answer; of fast callers, one call stands for 64.",
     Kind::kHistogram, Shown::kAsSeries, read_durations},
    {"calls", "Calls that have ended, by method and code.", Kind::kCounter, Shown::kInStats, read_calls},
    {"calls_begun", "Calls that have begun.", Kind::kCounter, Shown::kInStats,
     [](const MetricSources& from, Samples& out) { out.add(from.stats.calls); }},
    {"calls_denied", "Calls that policy has denied.", Kind::kCounter, Shown::kInStats,
     [](const MetricSources& from, Samples& out) { out.add(from.stats.calls_denied); }},
    {"calls_limited", "Calls that a limit or a rate has refused, by limit.", Kind::kCounter, Shown::kInStats,
     [](const MetricSources& from, Samples& out) { read_counts(from.stats.limits_hit, "limit", out); }},
    {"calls_open", "Calls of VMs that run now.", Kind::kGauge, Shown::kInStats,
     [](const MetricSources& from, Samples& out) { out.add(used(from, Resource::kStreams)); }},
    {"calls_timed_out", "Calls that were ended at their deadline.", Kind::kCounter, Shown::kInStats,
     [](const MetricSources& from, Samples& out) { out.add(from.stats.calls_timed_out); }},
    {"connections_accepted", "Connections that were accepted, refused ones included.", Kind::kCounter, Shown::kInStats,
     [](const MetricSources& from, Samples& out) { out.add(from.stats.connections_accepted); }},
    {"connections_open", "Connections that are open, by who is at the other end.", Kind::kGauge, Shown::kInStats,
     read_connections},
    {"connections_refused", "Connections that were refused, by reason.", Kind::kCounter, Shown::kInStats,
     [](const MetricSources& from, Samples& out) { read_counts(from.stats.refusals, "reason", out); }},
    {"heartbeats_lost", "Sessions that were ended because the peer was silent.", Kind::kCounter, Shown::kInStats,
     [](const MetricSources& from, Samples& out) { out.add(from.stats.heartbeats_lost); }},
    {"host_calls_open", "Calls that use a service of services.d now, by the kind of service.", Kind::kGauge,
     Shown::kInStats, read_host_calls},
    {"journal_records_lost", "Records that the journal has not taken.", Kind::kCounter, Shown::kInStats,
     [](const MetricSources& from, Samples& out) { out.add(from.server.journal_records_lost()); }},
    {"memory_bytes", "Messages of VMs that hostcalld holds.", Kind::kGauge, Shown::kInStats,
     [](const MetricSources& from, Samples& out) { out.add(used(from, Resource::kMemory)); }},
    {"outbound_bytes", "Replies to VMs that are not sent yet.", Kind::kGauge, Shown::kInStats,
     [](const MetricSources& from, Samples& out) { out.add(used(from, Resource::kOutbound)); }},
    {"policy_rules", "Rules of the policy in force.", Kind::kGauge, Shown::kInStats,
     [](const MetricSources& from, Samples& out) { out.add(std::uint64_t{from.access.policy().rules().size()}); }},
    {"process_cpu_seconds", "Processor time of hostcalld.", Kind::kCounter, Shown::kAsSeries,
     [](const MetricSources&, Samples& out) { out.add(cpu_seconds()); }},
    {"process_resident_memory_bytes", "Memory that hostcalld has in use.", Kind::kGauge, Shown::kAsSeries,
     [](const MetricSources&, Samples& out) { out.add(resident_bytes()); }},
    {"process_start_time_seconds", "When hostcalld started, as Unix time.", Kind::kGauge, Shown::kAsSeries,
     [](const MetricSources& from, Samples& out) { out.add(from.started); }},
    {"reloads", "Reloads that have taken effect.", Kind::kCounter, Shown::kInStats,
     [](const MetricSources& from, Samples& out) { out.add(from.stats.reloads); }},
    {"reloads_failed", "Reloads that were refused.", Kind::kCounter, Shown::kInStats,
     [](const MetricSources& from, Samples& out) { out.add(from.stats.reloads_failed); }},
    {"restart_last_silence_seconds", "How long nobody was served during the latest restart.", Kind::kGauge,
     Shown::kAsSeries,
     [](const MetricSources& from, Samples& out) { out.add(seconds_of(from.stats.restart_silence)); }},
    {"restart_silence_seconds", "How long nobody was served during all restarts.", Kind::kCounter, Shown::kAsSeries,
     [](const MetricSources& from, Samples& out) { out.add(seconds_of(from.stats.restart_silence_sum)); }},
    {"restarts", "Restarts that connections have survived.", Kind::kCounter, Shown::kInStats,
     [](const MetricSources& from, Samples& out) { out.add(from.stats.restarts); }},
    {"store_bytes", "Keys and values in the store.", Kind::kGauge, Shown::kInStats,
     [](const MetricSources& from, Samples& out) { out.add(from.store.stats().bytes); }},
    {"store_commit_seconds", "How long commits of the store took, their syncs included.", Kind::kHistogram,
     Shown::kAsSeries, [](const MetricSources& from, Samples& out) { out.add({}, from.store.stats().commit_times); }},
    {"store_commits", "Commits of the store.", Kind::kCounter, Shown::kInStats,
     [](const MetricSources& from, Samples& out) { out.add(from.store.stats().commits); }},
    {"store_compact_revision", "The revision up to which the store's history has gone.", Kind::kGauge, Shown::kInStats,
     [](const MetricSources& from, Samples& out) {
       out.add(static_cast<std::uint64_t>(from.store.stats().compact_revision));
     }},
    {"store_fsync_seconds", "How long the ends of commits took, which write and sync the log.", Kind::kHistogram,
     Shown::kAsSeries, [](const MetricSources& from, Samples& out) { out.add({}, from.store.stats().sync_times); }},
    {"store_history_events", "Changes in the store's history.", Kind::kGauge, Shown::kInStats,
     [](const MetricSources& from, Samples& out) { out.add(from.store.stats().history_events); }},
    {"store_keys", "Keys in the store.", Kind::kGauge, Shown::kInStats,
     [](const MetricSources& from, Samples& out) { out.add(from.store.stats().keys); }},
    {"store_revision", "The store's revision.", Kind::kGauge, Shown::kInStats,
     [](const MetricSources& from, Samples& out) { out.add(static_cast<std::uint64_t>(from.store.stats().revision)); }},
    {"store_takes_writes", "1 if the store takes writes, 0 if its disk keeps it from that.", Kind::kGauge,
     Shown::kAsSeries,
     [](const MetricSources& from, Samples& out) {
       out.add(std::uint64_t{from.store_condition.state() == v1::StoreCondition::STATE_OK});
     }},
    {"store_transactions", "Transactions that have changed something.", Kind::kCounter, Shown::kInStats,
     [](const MetricSources& from, Samples& out) { out.add(from.store.stats().transactions); }},
    {"store_waiting", "Transactions that wait for their commit.", Kind::kGauge, Shown::kInStats,
     [](const MetricSources& from, Samples& out) { out.add(from.store.stats().queue); }},
    {"store_watches", "Watches of the store that are open.", Kind::kGauge, Shown::kInStats,
     [](const MetricSources& from, Samples& out) { out.add(from.store.stats().watches); }},
    {"violations", "Connections that were closed because the peer broke the protocol.", Kind::kCounter, Shown::kInStats,
     [](const MetricSources& from, Samples& out) { out.add(from.stats.violations); }},
    {"vm_bytes_in", "Bytes that a VM has sent.", Kind::kCounter, Shown::kAsSeries,
     read_vms<[](const Vm& vm) { return number(vm.counts.bytes_in); }>},
    {"vm_bytes_out", "Bytes that a VM was sent.", Kind::kCounter, Shown::kAsSeries,
     read_vms<[](const Vm& vm) { return number(vm.counts.bytes_out); }>},
    {"vm_call_seconds", "How long a VM's unary calls took together.", Kind::kCounter, Shown::kAsSeries,
     read_vms<[](const Vm& vm) { return seconds_of(vm.counts.latency.sum()); }>},
    {"vm_calls", "Calls that a VM has begun.", Kind::kCounter, Shown::kAsSeries,
     read_vms<[](const Vm& vm) { return number(vm.counts.calls); }>},
    {"vm_calls_denied", "Calls of a VM that policy has denied.", Kind::kCounter, Shown::kAsSeries,
     read_vms<[](const Vm& vm) { return number(vm.counts.denied); }>},
    {"vm_calls_open", "Calls of a VM that run now.", Kind::kGauge, Shown::kAsSeries,
     read_vms<[](const Vm& vm) { return number(vm.quota.used(Resource::kStreams)); }>},
    {"vm_connections", "Connections of a VM that are open.", Kind::kGauge, Shown::kAsSeries,
     read_vms<[](const Vm& vm) { return number(vm.quota.used(Resource::kConnections)); }>},
    {"vm_limited", "Calls and connections of a VM that a limit or a rate has refused.", Kind::kCounter,
     Shown::kAsSeries, read_vms<[](const Vm& vm) { return number(vm.counts.limited); }>},
    {"vm_memory_bytes", "Messages and replies that hostcalld holds for a VM.", Kind::kGauge, Shown::kAsSeries,
     read_vms<[](const Vm& vm) {
       return number(vm.quota.used(Resource::kMemory) + vm.quota.used(Resource::kOutbound));
     }>},
    {"vms", "Registered VMs.", Kind::kGauge, Shown::kInStats,
     [](const MetricSources& from, Samples& out) { out.add(std::uint64_t{from.registry.all().size()}); }},
};

class Sum final : public Samples {
 public:
  void add(Labels, double value) override { sum_ += value; }
  void add(Labels, const DurationHistogram&) override {}
  double sum() const { return sum_; }

 private:
  double sum_ = 0;
};

}  // namespace

std::span<const Metric> all_metrics() { return kMetrics; }

void fill_stats(const MetricSources& sources, v1::StatsResponse& response) {
  for (const auto& metric : all_metrics()) {
    if (metric.shown != Shown::kInStats) continue;
    Sum sum;
    metric.read(sources, sum);
    auto& counter = *response.add_counters();
    counter.set_name(std::string(metric.name));
    counter.set_value(static_cast<std::uint64_t>(sum.sum()));
  }
}

}  // namespace hostcall::daemon
