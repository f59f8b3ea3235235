// hostcall info: the host's names and versions, or with --metrics its load, CPU and memory.
#include "client/cli/duration.h"
#include "client/cli/text.h"
#include "client/hostcall/guest_verbs.h"
#include "hostcall/v1/host.hostcall.h"

namespace hostcall::cli::guest {
namespace {

constexpr char kHelp[] = R"(Prints the host's name, operating system, kernel, versions, time and uptime.
With --metrics, prints its load, CPU and memory instead: the set that SAP's
vhostmd provides on other hypervisors. With -q, prints only the host's name.
)";

constexpr char kExamples[] = R"(  hostcall info
  hostcall info --metrics --json | jq .memoryAvailableBytes
)";

std::string seconds_text(double value) { return fixed(value, 1) + " s"; }

std::string to_text(const v1::InfoResponse& host) {
  Table table;
  table.field("host", host.host_name());
  table.field("system", host.os());
  table.field("kernel", host.kernel());
  table.field("architecture", host.architecture());
  table.field("virtualization", host.virtualization_vendor());
  table.field("hostcalld", host.hostcall_version());
  table.field("protocol", host.protocol());
  table.field("time", format_time(host.time_unix_nano()));
  table.field("uptime", format_duration(nanoseconds(host.uptime_nano())));
  table.field("hostcalld uptime", format_duration(nanoseconds(host.daemon_uptime_nano())));
  return table.to_string();
}

std::string to_text(const v1::MetricsResponse& host) {
  Table table;
  table.field("host", host.host_name());
  table.field("system", host.host_system());
  table.field("virtualization", host.virtualization_vendor());
  table.field("time", format_time(host.time_unix_nano()));
  table.field("CPUs online", std::to_string(host.cpus_online()));
  table.field("CPU time used", seconds_text(host.total_cpu_seconds()));
  table.field("CPU time idle", seconds_text(host.idle_cpu_seconds()));
  table.field("CPU time stolen", seconds_text(host.steal_cpu_seconds()));
  table.field("load 1, 5, 15 min",
              fixed(host.load_1m(), 2) + ", " + fixed(host.load_5m(), 2) + ", " + fixed(host.load_15m(), 2));
  table.field("memory", format_bytes(host.memory_total_bytes()));
  table.field("memory used", format_bytes(host.memory_used_bytes()));
  table.field("memory free", format_bytes(host.memory_free_bytes()));
  table.field("memory available", format_bytes(host.memory_available_bytes()));
  table.field("swap", format_bytes(host.swap_total_bytes()));
  table.field("swap used", format_bytes(host.swap_used_bytes()));
  table.field("paged in", format_bytes(host.paged_in_bytes()));
  table.field("paged out", format_bytes(host.paged_out_bytes()));
  return table.to_string();
}

class Info : public Verb {
 public:
  void declare(Arguments& arguments) override {
    arguments.flag("-m,--metrics", metrics_, "Print load, CPU and memory instead.");
  }
  ExitCode run(Invocation& invocation) override {
    if (metrics_)
      show<v1::Host::Metrics>(invocation);
    else
      show<v1::Host::Info>(invocation);
    return ExitCode::kDone;
  }

 private:
  template <class Method>
  static void show(Invocation& invocation) {
    const auto host = invocation.read<Method>();
    invocation.show(host, invocation.quiet() ? shown(host.host_name()) + "\n" : to_text(host));
  }
  bool metrics_ = false;
};

}  // namespace

const VerbEntry kInfo{"info", "the host's name, versions, time; --metrics: its load", kHelp, kExamples,
                      []() -> std::unique_ptr<Verb> { return std::make_unique<Info>(); }};

}  // namespace hostcall::cli::guest
