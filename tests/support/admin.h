// Asks a running daemon over its admin socket.
#pragma once

#include <gtest/gtest.h>

#include <string>

#include "hostcall/v1/admin.pb.h"
#include "tests/support/daemon_process.h"
#include "tests/support/wire_client.h"

namespace hostcall::test {

// A counter from Admin/Stats.
inline std::uint64_t counter(DaemonProcess& daemon, const std::string& name) {
  WireClient admin(daemon.admin_address());
  v1::StatsResponse stats;
  EXPECT_TRUE(stats.ParseFromString(admin.call("hostcall.v1.Admin/Stats").payload));
  for (const auto& item : stats.counters())
    if (item.name() == name) return item.value();
  ADD_FAILURE() << "no counter " << name;
  return 0;
}

// A VM's state from Admin/VmShow.
inline v1::VmState vm_state(DaemonProcess& daemon, const std::string& vm) {
  WireClient admin(daemon.admin_address());
  v1::VmShowRequest request;
  request.set_name(vm);
  v1::VmShowResponse response;
  EXPECT_TRUE(response.ParseFromString(admin.call("hostcall.v1.Admin/VmShow", request).payload));
  return response.vm();
}

}  // namespace hostcall::test
