// Start, reload, shutdown, crash; VMs that come and go while the daemon runs.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>

#include <filesystem>

#include "hostcall/v1/admin.pb.h"
#include "hostcall/v1/diagnostics.pb.h"
#include "tests/support/contents.h"
#include "tests/support/daemon_process.h"
#include "tests/support/wire_client.h"

namespace hostcall::test {
namespace {

using std::chrono::milliseconds;
using wire::Code;

std::string slow_echo(std::uint32_t delay_ms) {
  v1::EchoRequest request;
  request.set_payload("slow");
  request.set_delay_ms(delay_ms);
  return request.SerializeAsString();
}

Answer add_vm_at(DaemonProcess& daemon, const std::string& name, const std::string& path, bool persistent = false) {
  WireClient admin(daemon.admin_address());
  v1::VmAddRequest request;
  request.mutable_record()->set_name(name);
  request.mutable_record()->set_unix_path(path);
  request.set_persistent(persistent);
  return admin.call("hostcall.v1.Admin/VmAdd", request);
}

Answer add_vm(DaemonProcess& daemon, const std::string& name, bool persistent = false) {
  return add_vm_at(daemon, name, daemon.vm_path(name), persistent);
}

Answer remove_vm(DaemonProcess& daemon, const std::string& name) {
  WireClient admin(daemon.admin_address());
  v1::VmRemoveRequest request;
  request.set_name(name);
  return admin.call("hostcall.v1.Admin/VmRemove", request);
}

TEST(Shutdown, LetsRunningCallsFinishAndSaysGoaway) {
  DaemonProcess daemon({.timeouts_ms = {{"drain_ms", kFarMs}}});
  WireClient busy(daemon.vm_address("web1")), idle(daemon.vm_address("web1")), plain(daemon.vm_address("db1"));
  busy.hello();
  idle.hello();
  const auto call = busy.start("hostcall.v1.Diagnostics/Echo", slow_echo(700));
  const auto plain_call = plain.start("hostcall.v1.Diagnostics/Echo", slow_echo(700));
  EXPECT_EQ(idle.call("hostcall.v1.Session/Ping").status.code, Code::kOk);
  daemon.process().signal(SIGTERM);
  EXPECT_TRUE(idle.wait_for_goaway());
  EXPECT_EQ(idle.goaway_reason(), wire::GoawayReason::kShutdown);
  EXPECT_TRUE(idle.wait_for_close());
  const auto answer = busy.finish(call);
  EXPECT_EQ(answer.status.code, Code::kOk) << answer.status.message;
  EXPECT_EQ(plain.finish(plain_call).status.code, Code::kOk);
  EXPECT_TRUE(busy.wait_for_close());
  EXPECT_TRUE(plain.wait_for_close());
  EXPECT_EQ(daemon.process().wait(), 0);
  struct stat status {};
  EXPECT_NE(::stat(daemon.vm_path("web1").c_str(), &status), 0) << "socket files are gone";
}

// A stream that neither side ends is ended by the daemon alone; one in a connection that nobody reads, too.
TEST(Shutdown, EndsAlthoughACallDoesNot) {
  DaemonProcess daemon({.timeouts_ms = {{"drain_ms", 300}}});
  WireClient busy(daemon.vm_address("web1")), deaf(daemon.vm_address("db1"));
  busy.hello();
  deaf.hello();
  const auto call = busy.start("hostcall.v1.Diagnostics/Sink", "", wire::Shape::kClientStream);
  deaf.start("hostcall.v1.Diagnostics/Sink", "", wire::Shape::kClientStream);
  EXPECT_EQ(busy.call("hostcall.v1.Session/Ping").status.code, Code::kOk);
  daemon.process().signal(SIGTERM);
  EXPECT_EQ(busy.finish(call).status.code, Code::kUnavailable);
  EXPECT_EQ(daemon.process().wait(), 0);
}

TEST(Shutdown, ASecondSignalChangesNothing) {
  DaemonProcess daemon;
  WireClient client(daemon.vm_address("web1"));
  client.hello();
  daemon.process().signal(SIGTERM);
  daemon.process().signal(SIGINT);
  EXPECT_TRUE(client.wait_for_close());
  EXPECT_EQ(daemon.process().wait(), 0);
}

TEST(Reload, BySignalTakesNewVms) {
  DaemonProcess daemon({.vms = {"web1"}});
  daemon.directory().write("vms.d/60-more.json",
                           R"({"vms": [{"name": "new1", "unix_path": ")" + daemon.vm_path("new1") + R"("}]})");
  daemon.process().signal(SIGHUP);
  ASSERT_TRUE(daemon.process().wait_for_error_text("reloaded configuration")) << daemon.process().errors();
  WireClient client(daemon.vm_address("new1"));
  EXPECT_EQ(client.hello().vm_name(), "new1");
}

TEST(Reload, ARemovedRecordEndsItsSessionsAndAChangedOneToo) {
  DaemonProcess daemon;
  WireClient web1(daemon.vm_address("web1")), db1(daemon.vm_address("db1")), admin(daemon.admin_address());
  const auto first = web1.hello();
  db1.hello();
  daemon.directory().write("vms.d/50-test.json", R"({"vms": [{"name": "web1", "unix_path": ")" +
                                                     daemon.vm_path("web1") + R"(", "tags": ["new"]}]})");
  EXPECT_EQ(admin.call("hostcall.v1.Admin/Reload").status.code, Code::kOk);
  EXPECT_TRUE(web1.wait_for_close());
  EXPECT_TRUE(db1.wait_for_close());
  EXPECT_EQ(db1.goaway_reason(), wire::GoawayReason::kRemoved);
  WireClient again(daemon.vm_address("web1"));
  v1::WhoAmIResponse who;
  ASSERT_TRUE(who.ParseFromString(again.call("hostcall.v1.Session/WhoAmI").payload));
  EXPECT_EQ(who.tags_size(), 1);
  EXPECT_GT(who.registration(), 1U);
  EXPECT_THROW(WireClient(daemon.vm_address("db1")), std::runtime_error);
}

TEST(Reload, AnErrorLeavesEverythingAsItWas) {
  DaemonProcess daemon;
  WireClient web1(daemon.vm_address("web1"));
  web1.hello();
  // The VM file is good and the policy is not: neither is taken.
  daemon.directory().write("vms.d/50-test.json", R"({"vms": []})");
  daemon.directory().write("policy.d/60-bad.json", R"({"rules": [{"vms": ["*"]}]})");
  daemon.process().signal(SIGHUP);
  ASSERT_TRUE(daemon.process().wait_for_error_text("60-bad.json:1")) << daemon.process().errors();
  EXPECT_EQ(web1.call("hostcall.v1.Session/Ping").status.code, Code::kOk);
  WireClient other(daemon.vm_address("db1"));
  EXPECT_EQ(other.call("hostcall.v1.Session/Ping").status.code, Code::kOk);
}

TEST(RunTimeVms, ComeGoAndEndTheirSessions) {
  DaemonProcess daemon;
  const auto added = add_vm(daemon, "tmp1");
  ASSERT_EQ(added.status.code, Code::kOk) << added.status.message;
  EXPECT_EQ(add_vm(daemon, "tmp1").status.code, Code::kAlreadyExists);
  WireClient client(daemon.vm_address("tmp1"));
  client.hello();
  v1::VmRemoveResponse removed;
  ASSERT_TRUE(removed.ParseFromString(remove_vm(daemon, "tmp1").payload));
  EXPECT_EQ(removed.sessions_ended(), 1U);
  // By the next turn of the daemon its last words are here.
  EXPECT_EQ(WireClient(daemon.admin_address()).call("hostcall.v1.Session/Ping").status.code, Code::kOk);
  EXPECT_TRUE(client.pump(milliseconds(0)));
  EXPECT_EQ(client.goaway_reason(), wire::GoawayReason::kRemoved);
  EXPECT_TRUE(client.wait_for_close());
  EXPECT_EQ(remove_vm(daemon, "tmp1").status.code, Code::kNotFound);
  const auto from_file = remove_vm(daemon, "web1");
  EXPECT_EQ(from_file.status.code, Code::kFailedPrecondition);
  EXPECT_NE(from_file.status.message.find("50-test.json"), std::string::npos) << from_file.status.message;
  EXPECT_EQ(daemon.stop(), 0);
}

TEST(RunTimeVms, ThatTakeAnothersPlaceAreNotTakenForIt) {
  DaemonProcess daemon;
  const auto path = daemon.vm_path("place");
  ASSERT_EQ(add_vm_at(daemon, "first", path).status.code, Code::kOk);
  WireClient extended("unix:" + path), plain("unix:" + path);
  EXPECT_EQ(extended.hello().vm_name(), "first");
  EXPECT_EQ(plain.call("hostcall.v1.Session/Ping").status.code, Code::kOk);
  const auto running = extended.start("hostcall.v1.Diagnostics/Echo", slow_echo(60'000));
  EXPECT_EQ(extended.call("hostcall.v1.Session/Ping").status.code, Code::kOk);
  ASSERT_EQ(remove_vm(daemon, "first").status.code, Code::kOk);
  ASSERT_EQ(add_vm_at(daemon, "second", path).status.code, Code::kOk);
  // They have not read that it is over, and go on: nobody answers, neither as the first nor as the second.
  const auto late = extended.start("hostcall.v1.Session/WhoAmI", "");
  const auto late_plain = plain.start("hostcall.v1.Session/WhoAmI", "");
  EXPECT_FALSE(extended.finish(late).arrived);
  EXPECT_FALSE(plain.finish(late_plain).arrived);
  EXPECT_EQ(extended.finish(running).status.code, Code::kUnavailable);
  EXPECT_EQ(WireClient("unix:" + path).hello().vm_name(), "second");
  EXPECT_EQ(daemon.stop(), 0);
}

TEST(RunTimeVms, AreRefusedWhenTheyCanNotBeReached) {
  DaemonProcess daemon;
  WireClient admin(daemon.admin_address());
  v1::VmAddRequest request;
  request.mutable_record()->set_name("lost");
  request.mutable_record()->set_unix_path("/nonexistent/directory/sock");
  const auto answer = admin.call("hostcall.v1.Admin/VmAdd", request);
  EXPECT_EQ(answer.status.code, Code::kFailedPrecondition);
  EXPECT_NE(answer.status.message.find("/nonexistent/directory/sock"), std::string::npos) << answer.status.message;
  v1::VmShowRequest show;
  show.set_name("lost");
  EXPECT_EQ(admin.call("hostcall.v1.Admin/VmShow", show).status.code, Code::kNotFound);
}

TEST(RunTimeVms, OutliveTheDaemonAndACrash) {
  DaemonProcess daemon;
  ASSERT_EQ(add_vm(daemon, "tmp1").status.code, Code::kOk);
  ASSERT_EQ(add_vm(daemon, "kept1", true).status.code, Code::kOk);
  EXPECT_EQ(daemon.stop(), 0);
  daemon.restart();
  { EXPECT_EQ(WireClient(daemon.vm_address("tmp1")).hello().vm_name(), "tmp1"); }
  daemon.process().signal(SIGKILL);
  EXPECT_EQ(daemon.process().wait(), 128 + SIGKILL);
  // The killed daemon left its socket files behind; they are proven stale and replaced.
  daemon.restart();
  { EXPECT_EQ(WireClient(daemon.vm_address("kept1")).hello().vm_name(), "kept1"); }
  // At a host reboot /run is empty: only the persistent one is left.
  EXPECT_EQ(daemon.stop(), 0);
  std::filesystem::remove_all(daemon.directory() / "run");
  std::filesystem::create_directory(daemon.directory() / "run");
  daemon.restart();
  { EXPECT_EQ(WireClient(daemon.vm_address("kept1")).hello().vm_name(), "kept1"); }
  EXPECT_THROW(WireClient(daemon.vm_address("tmp1")), std::runtime_error);
}

TEST(Sessions, AreListedAndClosed) {
  DaemonProcess daemon;
  WireClient client(daemon.vm_address("web1")), admin(daemon.admin_address());
  const auto id = client.hello().session_id();
  v1::SessionListResponse list;
  ASSERT_TRUE(list.ParseFromString(admin.call("hostcall.v1.Admin/SessionList").payload));
  ASSERT_EQ(list.sessions_size(), 2);
  EXPECT_EQ(list.sessions(0).vm(), "web1");
  EXPECT_EQ(list.sessions(0).client(), "wire-client 1");
  EXPECT_EQ(list.sessions(1).vm(), "@admin");
  v1::SessionCloseRequest request;
  request.set_id(id);
  EXPECT_EQ(admin.call("hostcall.v1.Admin/SessionClose", request).status.code, Code::kOk);
  EXPECT_TRUE(client.wait_for_close());
  request.set_id(id + 1000);
  EXPECT_EQ(admin.call("hostcall.v1.Admin/SessionClose", request).status.code, Code::kNotFound);
}

TEST(Start, RefusesABadConfigurationWithFileAndLine) {
  DaemonProcess daemon;
  daemon.directory().write("bad.json", "{\n  \"listen\": [],\n  \"listen\": []\n}");
  const auto finished = run({program("hostcalld"), "--config", daemon.directory() / "bad.json"});
  EXPECT_EQ(finished.code, 1);
  EXPECT_NE(finished.errors.find("bad.json:3"), std::string::npos) << finished.errors;
  EXPECT_NE(finished.errors.find("listen"), std::string::npos) << finished.errors;
  EXPECT_EQ(run({program("hostcalld"), "--nonsense"}).code, 2);
  EXPECT_EQ(run({program("hostcalld"), "--config", daemon.config_file(), "--check"}).code, 0);
}

TEST(Start, RefusesAStoreOrAnAddressInUse) {
  DaemonProcess daemon;
  const auto second = run({program("hostcalld"), "--config", daemon.config_file()});
  EXPECT_EQ(second.code, 1);
  EXPECT_NE(second.errors.find("is hostcalld running already?"), std::string::npos) << second.errors;
  auto config = test::contents_of(daemon.config_file());
  config.replace(config.find("/state\""), 7, "/other\"");
  std::filesystem::create_directory(daemon.directory() / "other");
  const auto third = run({program("hostcalld"), "--config", daemon.directory().write("other.json", config)});
  EXPECT_EQ(third.code, 1);
  EXPECT_NE(third.errors.find("another process listens there"), std::string::npos) << third.errors;
  WireClient client(daemon.vm_address("web1"));
  EXPECT_EQ(client.call("hostcall.v1.Session/Ping").status.code, Code::kOk) << "the first is not disturbed";
}

TEST(Start, AVmWithoutItsDirectoryDoesNotKeepTheOthersOut) {
  DaemonProcess daemon({.vms_json = R"({"vms": [{"name": "lost", "unix_path": "@DIR@/missing/lost.sock"},
                                       {"name": "web1", "unix_path": "@DIR@/web1.sock"}]})"});
  EXPECT_NE(daemon.process().errors().find("missing/lost.sock"), std::string::npos) << daemon.process().errors();
  WireClient client(daemon.vm_address("web1"));
  EXPECT_EQ(client.hello().vm_name(), "web1");
  // Mended and reloaded it comes up.
  std::filesystem::create_directory(daemon.directory() / "missing");
  WireClient admin(daemon.admin_address());
  EXPECT_EQ(admin.call("hostcall.v1.Admin/Reload").status.code, Code::kOk);
  WireClient found("unix:" + (daemon.directory() / "missing/lost.sock"));
  EXPECT_EQ(found.hello().vm_name(), "lost");
}

}  // namespace
}  // namespace hostcall::test
