#include "daemon/services/host_service.h"

#include <sys/utsname.h>
#include <unistd.h>

#include <ctime>

#include "daemon/services/host_facts.h"
#include "daemon/services/os_release.h"
#include "hostcall/v1/host.hostcall.h"
#include "proto/base/read_file.h"
#include "proto/base/utf8.h"

namespace hostcall::daemon {
namespace {

constexpr char kVendor[] = "KVM";
// The most of a file in /proc or /etc. /proc/stat has a line per core.
constexpr std::size_t kMaxFactBytes = 1024 * 1024;
// How long metrics are good for, and what reading them costs: the kernel makes up each file anew.
constexpr Duration kSampleTime = milliseconds(100);
constexpr Units kSampleUnits = 150;

std::int64_t wall_clock_nano() {
  return std::chrono::duration_cast<nanoseconds>(std::chrono::system_clock::now().time_since_epoch()).count();
}

std::uint64_t uptime_nano() {
  timespec time{};
  ::clock_gettime(CLOCK_BOOTTIME, &time);
  return static_cast<std::uint64_t>(time.tv_sec) * 1'000'000'000 + static_cast<std::uint64_t>(time.tv_nsec);
}

class HostService {
 public:
  explicit HostService(HostServiceOptions options) : options_(std::move(options)), os_(pretty_name(os_release())) {
    ::uname(&name_);
    host_name_ = utf8::replace_invalid(name_.nodename);
  }

  Status info(const CallContext& context, v1::InfoResponse& response) const {
    response.set_host_name(host_name_);
    response.set_os(os_);
    response.set_kernel(name_.release);
    response.set_architecture(name_.machine);
    response.set_hostcall_version(HOSTCALL_VERSION);
    response.set_protocol("hostcall.v1");
    response.set_time_unix_nano(wall_clock_nano());
    response.set_uptime_nano(uptime_nano());
    response.set_daemon_uptime_nano(static_cast<std::uint64_t>((context.now - options_.daemon_started).count()));
    response.set_virtualization_vendor(kVendor);
    return {};
  }

  Status metrics(const CallContext& context, v1::MetricsResponse& response) {
    if (context.now >= sample_until_) {
      context.spend(kSampleUnits);
      sample_.Clear();
      sample_status_ = read_metrics(sample_);
      sample_until_ = context.now + kSampleTime;
    }
    if (sample_status_.ok()) response = sample_;
    return sample_status_;
  }

 private:
  Status read_metrics(v1::MetricsResponse& response) const {
    const auto meminfo = read_fact("/proc/meminfo");
    const auto loadavg = read_fact("/proc/loadavg");
    const auto stat = read_fact("/proc/stat");
    const auto vmstat = read_fact("/proc/vmstat");
    for (const auto* text : {&meminfo, &loadavg, &stat, &vmstat})
      if (!text->ok()) return {Code::kUnavailable, "the host can't read its metrics: " + text->error().message()};
    response.set_time_unix_nano(wall_clock_nano());
    response.set_host_name(host_name_);
    response.set_virtualization_vendor(kVendor);
    response.set_host_system(os_ + ", Linux " + name_.release);
    response.set_cpus_online(static_cast<std::uint32_t>(::sysconf(_SC_NPROCESSORS_ONLN)));
    parse_meminfo(meminfo.value(), response);
    parse_loadavg(loadavg.value(), response);
    parse_stat(stat.value(), static_cast<double>(::sysconf(_SC_CLK_TCK)), response);
    parse_vmstat(vmstat.value(), response);
    return {};
  }
  Result<std::string> read_fact(const char* path) const { return read_file(options_.root + path, kMaxFactBytes); }
  // The two places of os-release(5), the administrator's first.
  std::string os_release() const {
    for (const char* path : {"/etc/os-release", "/usr/lib/os-release"})
      if (auto text = read_fact(path); text.ok()) return std::move(text).value();
    return {};
  }

  HostServiceOptions options_;
  std::string os_;
  std::string host_name_;  // sethostname(2) takes any bytes, a protobuf string only UTF-8
  utsname name_{};
  v1::MetricsResponse sample_;
  Status sample_status_;
  TimePoint sample_until_{};
};

}  // namespace

void register_host_service(Router& router, HostServiceOptions options) {
  const auto service = std::make_shared<HostService>(std::move(options));
  router.unary<v1::Host::Info>(
      Audience::kGuest, [service](const CallContext& context, const v1::InfoRequest&, v1::InfoResponse& response) {
        return service->info(context, response);
      });
  router.unary<v1::Host::Metrics>(
      Audience::kGuest, [service](const CallContext& context, const v1::MetricsRequest&,
                                  v1::MetricsResponse& response) { return service->metrics(context, response); });
  router.check_complete(v1::Host::kAllMethods);
}

}  // namespace hostcall::daemon
