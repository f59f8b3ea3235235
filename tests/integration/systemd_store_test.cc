// What systemd keeps from one daemon to the next: the stand-in for it, and a daemon that finds something in the store.
#include <gtest/gtest.h>
#include <sys/socket.h>

#include "tests/support/systemd_stand_in.h"
#include "tests/support/wire_client.h"

namespace hostcall::test {
namespace {

TEST(SystemdStore, ServesAgainAfterEachRestart) {
  SystemdStandIn systemd({}, {.manager = {}, .vms_of_socket_units = {"web1"}});
  const auto expect_service = [&] {
    for (const auto& vm : {"web1", "db1"}) EXPECT_EQ(WireClient(systemd.files().vm_address(vm)).hello().vm_name(), vm);
  };
  expect_service();
  systemd.restart();
  expect_service();
  systemd.kill_9();
  expect_service();
  EXPECT_EQ(systemd.starts(), 3);
  EXPECT_EQ(systemd.stop(), 0);
  systemd.start();
  expect_service();
  EXPECT_EQ(systemd.stop(), 0);
}

TEST(SystemdStore, IsTriedAgainWhenTheFirstStartFails) {
  SystemdStandIn systemd;
  systemd.fail_next_starts(2);
  systemd.restart();
  EXPECT_EQ(systemd.starts(), 4);
  EXPECT_EQ(WireClient(systemd.files().vm_address("web1")).hello().vm_name(), "web1");
}

// Another build, with other arguments and another environment.
TEST(SystemdStore, StartsAnotherProgram) {
  SystemdStandIn systemd;
  Command command;
  command.arguments = {"--no-such-option"};
  systemd.set_command(command);
  EXPECT_THROW(systemd.restart(), std::runtime_error);
  systemd.set_command({});
  systemd.start();
  EXPECT_EQ(WireClient(systemd.files().vm_address("web1")).hello().vm_name(), "web1");
}

// What a later build has stored.
TEST(SystemdStore, ADescriptorThatNobodyKnowsIsNoError) {
  SystemdStandIn systemd;
  int ends[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
  const auto ours = UniqueFd::adopt(ends[0]);
  systemd.manager().store("hostcall-later", UniqueFd::adopt(ends[1]));
  systemd.restart();
  EXPECT_TRUE(systemd.process().wait_for_error_text("systemd has passed \"hostcall-later\""))
      << systemd.process().errors();
  EXPECT_EQ(WireClient(systemd.files().vm_address("web1")).hello().vm_name(), "web1");
  EXPECT_EQ(systemd.starts(), 2);
}

}  // namespace
}  // namespace hostcall::test
