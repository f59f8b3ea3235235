#include "tests/bench/growth/target.h"

#include <algorithm>
#include <chrono>
#include <fstream>
#include <thread>

#include "hostcall/v1/admin.pb.h"

namespace hostcall::bench {

void call(WireClient& client, const std::string& method, const google::protobuf::MessageLite& request) {
  const auto answer = client.call(method, request);
  if (!answer.arrived || !answer.status.ok())
    throw std::runtime_error(method + ": " + (answer.arrived ? answer.status.message : "no answer"));
}

std::uint64_t counter(WireClient& admin, const std::string& name) {
  const auto stats = ask<v1::StatsResponse>(admin, "hostcall.v1.Admin/Stats", v1::StatsRequest());
  for (const auto& item : stats.counters())
    if (item.name() == name) return item.value();
  throw std::runtime_error("no counter " + name);
}

std::uint64_t written_bytes(const Target& target) {
  std::ifstream io("/proc/" + std::to_string(target.pid) + "/io");
  std::string name;
  for (std::uint64_t value = 0; io >> name >> value;)
    if (name == "wchar:") return value;
  throw std::runtime_error("/proc/PID/io has no wchar");
}

double reactor_cpu_s(const Target& target) {
  const auto pid = std::to_string(target.pid);
  std::ifstream schedstat("/proc/" + pid + "/task/" + pid + "/schedstat");
  std::uint64_t nanoseconds = 0;
  if (!(schedstat >> nanoseconds)) throw std::runtime_error("no schedstat of the daemon");
  return static_cast<double>(nanoseconds) / 1e9;
}

void Cost::wait_for_counter(const std::string& name, std::uint64_t value) {
  constexpr std::chrono::milliseconds kPause(5);
  constexpr unsigned kMoreTimes = 50;
  WireClient admin(target_.admin());
  unsigned times = 1;
  for (; counter(admin, name) != value; ++times) std::this_thread::sleep_for(kPause);
  end_ = Moment::now(target_.pid);
  for (unsigned i = 0; i < kMoreTimes; ++i) counter(admin, name);
  const auto more = Moment::now(target_.pid);
  asking_cpu_s_ = (more.server_cpu_s - end_->server_cpu_s) / kMoreTimes * times;
}

void Cost::add_to(Result& result, const std::string& name) const {
  constexpr double kLeast = 1e-6;  // it has a logarithm
  const auto end = end_.value_or(Moment::now(target_.pid));
  result.add(name + "_s", std::chrono::duration<double>(end.time - begin_.time).count());
  result.add(name + "_cpu_s", std::max(kLeast, end.server_cpu_s - begin_.server_cpu_s - asking_cpu_s_));
}

}  // namespace hostcall::bench
