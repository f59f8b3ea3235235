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

// A neighbour pings all the time. The stall is the most that the reactor did while it waited, in processor time of that
// thread: the wait itself also depends on who else wants the processor.
void reload(const Target& target) {
  WireClient admin(target.admin()), neighbour(target.vm("vm0"));
  neighbour.hello();
  call(neighbour, "hostcall.v1.Session/Ping", v1::PingRequest());
  Result result;
  double stall = 0;
  const Cost cost(target);
  const auto reloading = admin.start("hostcall.v1.Admin/Reload", "");
  do {
    const auto before = reactor_cpu_s(target);
    call(neighbour, "hostcall.v1.Session/Ping", v1::PingRequest());
    stall = std::max(stall, reactor_cpu_s(target) - before);
    while (admin.pump(std::chrono::milliseconds(0))) continue;
  } while (!admin.ended(reloading));
  cost.add_to(result, "reload");
  const auto answer = admin.finish(reloading);
  if (!answer.status.ok()) throw std::runtime_error("Reload: " + answer.status.message);
  result.add("stall_cpu_s", stall);
  result.print();
}

}  // namespace hostcall::bench
