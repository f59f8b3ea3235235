// Who a caller is, and what one is told who may not be here.
#include <grp.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/admin.h"
#include "tests/support/compare_times.h"
#include "tests/support/daemon_process.h"
#include "tests/support/wire_client.h"

namespace hostcall::test {
namespace {

using wire::Code;

v1::WhoAmIResponse who_am_i(WireClient& client) {
  const auto answer = client.call("hostcall.v1.Session/WhoAmI");
  EXPECT_TRUE(answer.arrived);
  EXPECT_EQ(answer.status.code, Code::kOk) << answer.status.message;
  v1::WhoAmIResponse response;
  EXPECT_TRUE(response.ParseFromString(answer.payload));
  return response;
}

// Runs `test` in a child process of another user; its return value is the exit code.
template <class Test>
int as_user(uid_t uid, Test test) {
  const pid_t child = ::fork();
  if (child == 0) {
    if (::setgroups(0, nullptr) != 0 || ::setresgid(uid, uid, uid) != 0 || ::setresuid(uid, uid, uid) != 0) ::_exit(99);
    int code = 98;
    try {
      code = test();
    } catch (const std::exception& error) {
      std::fprintf(stderr, "%s\n", error.what());
    }
    ::_exit(code);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 255;
}

constexpr uid_t kNobody = 65534;
// A VM whose VMM runs as somebody else: whoever connects in a test is refused.
constexpr char kForeignUid[] = R"({"vms": [{"name": "web1", "unix_path": "@DIR@/web1.sock", "vmm_uid": 4242}]})";

TEST(Identity, IsTheListenerPath) {
  DaemonProcess daemon;
  for (const std::string vm : {"web1", "db1"}) {
    WireClient client(daemon.vm_address(vm));
    const auto who = who_am_i(client);
    EXPECT_EQ(who.vm_name(), vm);
    EXPECT_EQ(who.evidence(), "unix");
    EXPECT_EQ(who.unix_path(), "") << "a guest learns no path of the host";
  }
  EXPECT_EQ(daemon.stop(), 0);
}

TEST(Identity, ShowsUuidTagsAndBootId) {
  DaemonProcess daemon({.vms_json = R"({"vms": [{"name": "web1", "unix_path": "@DIR@/web1.sock", "tags": ["web", "eu"],
                                       "uuid": "6f9619ff-8b86-d011-b42d-00cf4fc964ff"}]})"});
  WireClient client(daemon.vm_address("web1"));
  const auto hello = client.hello("boot-7");
  EXPECT_EQ(hello.vm_name(), "web1");
  const auto who = who_am_i(client);
  EXPECT_EQ(who.uuid(), "6f9619ff-8b86-d011-b42d-00cf4fc964ff");
  ASSERT_EQ(who.tags_size(), 2);
  EXPECT_EQ(who.tags(1), "eu");
  EXPECT_EQ(who.boot_id(), "boot-7");
  EXPECT_EQ(who.session_id(), hello.session_id());
}

TEST(Identity, AWrongVmmUidIsRefusedWithTheRemedy) {
  DaemonProcess daemon({.vms_json = kForeignUid});
  WireClient client(daemon.vm_address("web1"));
  const auto answer = client.call("hostcall.v1.Session/WhoAmI");
  ASSERT_TRUE(answer.arrived);
  EXPECT_EQ(answer.status.code, Code::kPermissionDenied);
  EXPECT_NE(answer.status.message.find("web1"), std::string::npos) << answer.status.message;
  EXPECT_NE(answer.status.message.find("4242"), std::string::npos) << answer.status.message;
  EXPECT_TRUE(client.wait_for_close());
}

// From the connection to the answer to Hello.
Nanoseconds time_of_hello(const std::string& address, Code expected) {
  return time_of([&] {
    WireClient client(address);
    EXPECT_EQ(client.call("hostcall.v1.Session/Hello", v1::HelloRequest()).status.code, expected);
  });
}

// All deadlines are far, and who is let in is not answered sooner.
TEST(Identity, ARefusalComesAtOnce) {
  DaemonProcess daemon({.vms_json = R"({"vms": [{"name": "web1", "unix_path": "@DIR@/web1.sock", "vmm_uid": 4242},
                                       {"name": "db1", "unix_path": "@DIR@/db1.sock"}]})",
                        .config_json = R"("limits": {"connect_rate": 10000, "connect_burst": 10000})"});
  EXPECT_TRUE(takes_at_most(
      10, [&] { return time_of_hello(daemon.vm_address("web1"), Code::kPermissionDenied); },
      [&] { return time_of_hello(daemon.vm_address("db1"), Code::kOk); }));
  EXPECT_TRUE(daemon.process().wait_for_error_text("refused a connection"));
}

TEST(Identity, ARefusedCallerReachesNoHandler) {
  DaemonProcess daemon({.vms_json = kForeignUid});
  WireClient client(daemon.vm_address("web1"));
  // Even a call that would take time and a stream are answered with the refusal.
  const auto first = client.start("hostcall.v1.Diagnostics/Echo", "\x10\x90\x4e");
  EXPECT_EQ(client.finish(first).status.code, Code::kPermissionDenied);
  EXPECT_TRUE(client.wait_for_close());
  EXPECT_EQ(counter(daemon, "connections_refused"), 1U);
}

TEST(Identity, TheAdminSocketIsForRootAndTheGroup) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root to become another user";
  DaemonProcess daemon;
  ::chmod(daemon.directory().path().c_str(), 0755);
  ::chmod(daemon.admin_path().c_str(), 0666);  // so that only SO_PEERCRED stands in the way
  WireClient root(daemon.admin_address());
  EXPECT_EQ(root.call("hostcall.v1.Admin/VmList").status.code, Code::kOk);
  const int code = as_user(kNobody, [&] {
    WireClient client(daemon.admin_address());
    const auto answer = client.call("hostcall.v1.Admin/VmList");
    return answer.status.code == Code::kPermissionDenied && answer.status.message.find("group") != std::string::npos
               ? 0
               : 1;
  });
  EXPECT_EQ(code, 0);
}

TEST(Identity, AGuestNeverSeesTheAdminService) {
  DaemonProcess daemon;
  WireClient client(daemon.vm_address("web1"));
  EXPECT_EQ(client.call("hostcall.v1.Admin/VmList").status.code, Code::kUnimplemented);
}

TEST(Identity, ANewBootIdEndsOlderSessions) {
  DaemonProcess daemon;
  WireClient old_session(daemon.vm_address("web1"));
  old_session.hello("boot-1");
  WireClient plain(daemon.vm_address("web1"));
  who_am_i(plain);
  WireClient other_vm(daemon.vm_address("db1"));
  other_vm.hello("boot-1");
  WireClient new_session(daemon.vm_address("web1"));
  new_session.hello("boot-2");
  ASSERT_TRUE(old_session.wait_for_goaway());
  EXPECT_EQ(old_session.goaway_reason(), wire::GoawayReason::kSuperseded);
  EXPECT_TRUE(old_session.wait_for_close());
  EXPECT_EQ(who_am_i(plain).vm_name(), "web1") << "it has told no boot";
  EXPECT_EQ(who_am_i(new_session).boot_id(), "boot-2");
  EXPECT_EQ(who_am_i(other_vm).vm_name(), "db1");
}

}  // namespace
}  // namespace hostcall::test
