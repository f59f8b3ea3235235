#include <algorithm>

#include "hostcall/v1/admin.pb.h"
#include "tests/bench/growth/works.h"

namespace hostcall::bench {
namespace {

std::string added(unsigned number) { return "added" + std::to_string(number); }

}  // namespace

// Registers so many at run time, one after the other, and removes them again.
void add_vms(const Target& target, unsigned count) {
  WireClient admin(target.admin());
  Result result;
  const Cost adding(target);
  for (unsigned i = 0; i < count; ++i) {
    v1::VmAddRequest request;
    request.mutable_record()->set_name(added(i));
    request.mutable_record()->set_unix_path(target.socket(added(i)));
    call(admin, "hostcall.v1.Admin/VmAdd", request);
  }
  adding.add_to(result, "add");
  const Cost removing(target);
  for (unsigned i = 0; i < count; ++i) {
    v1::VmRemoveRequest request;
    request.set_name(added(i));
    call(admin, "hostcall.v1.Admin/VmRemove", request);
  }
  removing.add_to(result, "remove");
  result.print();
}

// Each VM connects, says Hello and makes its first call. The connections stay until the end.
void first_sessions(const Target& target, unsigned first, unsigned count) {
  std::vector<std::unique_ptr<WireClient>> clients;
  Result result;
  const Cost cost(target);
  for (unsigned i = first; i < first + count; ++i) {
    clients.push_back(std::make_unique<WireClient>(target.vm("vm" + std::to_string(i))));
    clients.back()->hello();
    call(*clients.back(), "hostcall.v1.Session/Ping", v1::PingRequest());
  }
  cost.add_to(result, "session");
  result.print();
}

namespace {

void wait_for_reload(WireClient& admin, std::uint32_t call) {
  const auto answer = admin.finish(call);
  if (!answer.status.ok()) throw std::runtime_error("Reload: " + answer.status.message);
}

// A neighbour pings all the time. Returns the most that the reactor did while it waited, in processor time of that
// thread: the wait itself also depends on who else wants the processor.
double longest_stall(const Target& target, WireClient& admin) {
  WireClient neighbour(target.vm("vm0"));
  neighbour.hello();
  call(neighbour, "hostcall.v1.Session/Ping", v1::PingRequest());
  double stall = 0;
  const auto reloading = admin.start("hostcall.v1.Admin/Reload", "");
  do {
    const auto before = reactor_cpu_s(target);
    call(neighbour, "hostcall.v1.Session/Ping", v1::PingRequest());
    stall = std::max(stall, reactor_cpu_s(target) - before);
    while (admin.pump(std::chrono::milliseconds(0))) continue;
  } while (!admin.ended(reloading));
  wait_for_reload(admin, reloading);
  return stall;
}

}  // namespace

// First without the neighbour, whose calls would count as the reload's cost.
void reload(const Target& target) {
  WireClient admin(target.admin());
  Result result;
  const Cost cost(target);
  wait_for_reload(admin, admin.start("hostcall.v1.Admin/Reload", ""));
  cost.add_to(result, "reload");
  result.add("stall_cpu_s", longest_stall(target, admin));
  result.print();
}

}  // namespace hostcall::bench
