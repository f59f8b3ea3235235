// The server: who may connect, how many, reloads, listeners of VMs, and the end.
#include "daemon/calls/server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <optional>

#include "hostcall/v1/run.hostcall.h"
#include "tests/support/rig.h"
#include "tests/support/test_methods.h"

namespace hostcall::daemon {
namespace {

using test::Rig;
using test::RigOptions;
using test::WireClient;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr char kPing[] = "hostcall.v1.Session/Ping";
constexpr char kEchoStream[] = "hostcall.v1.Diagnostics/EchoStream";

std::unique_ptr<Rig> started(const RigOptions& options = {}) {
  auto rig = std::make_unique<Rig>(options);
  test::register_test_methods(rig->router);
  rig->start();
  return rig;
}

std::vector<std::string> sessions(const Rig& rig) {
  std::vector<std::string> all;
  rig.server.for_each_session(nullptr, 0, [&](const SessionInfo& session) {
    all.push_back(session.caller.name());
    return true;
  });
  return all;
}

TEST(Server, SaysWhatItStartsWith) {
  const auto rig = started();
  EXPECT_THAT(rig->log(), HasSubstr("hostcalld " HOSTCALL_VERSION " started: listens on unix:" + rig->path_of("admin") +
                                    " and 2 sockets of VMs; 2 VMs, 1 policy rule, 0 services"));
  EXPECT_TRUE(std::filesystem::is_socket(rig->path_of("web1")));
  EXPECT_TRUE(std::filesystem::is_socket(rig->path_of("admin")));
}

TEST(Server, KnowsItsCallersByTheirSockets) {
  const auto rig = started();
  const auto web = rig->peer("web1"), db = rig->peer("db1"), admin = rig->admin();
  EXPECT_EQ(web->hello().vm_name(), "web1");
  EXPECT_EQ(db->hello().vm_name(), "db1");
  EXPECT_EQ(admin->hello().vm_name(), "@admin");
  EXPECT_THAT(sessions(*rig), testing::ElementsAre("web1", "db1", "@admin"));
  EXPECT_THAT(rig->log(), HasSubstr("session 1 of VM \"web1\" opened"));
  EXPECT_EQ(rig->stats.connections_accepted, 3u);
}

TEST(Server, AVmmOfAnotherUserIsToldWhoItShouldBe) {
  const auto rig = started();
  rig->write_vms(R"({"name": "fc1", "unix_path": ")" + rig->path_of("fc1") + R"(", "vmm_uid": )" +
                 std::to_string(::getuid() + 1) + "}");
  ASSERT_TRUE(rig->reload().ok());
  const auto peer = rig->peer("fc1");
  const auto answer = peer->call(kPing);
  EXPECT_EQ(answer.status.code, Code::kPermissionDenied);
  EXPECT_THAT(answer.status.message, HasSubstr("requires uid " + std::to_string(::getuid() + 1)));
  EXPECT_TRUE(peer->wait_for_close());
  EXPECT_EQ(sum_of(rig->stats.refusals), 1u);
  EXPECT_THAT(rig->log(), HasSubstr("refused a connection from unix:" + rig->path_of("fc1")));
}

TEST(Server, ConnectionsOfAVmAreLimited) {
  Limits limits;
  limits.connections = 2;
  const auto rig = started({.limits = limits});
  auto first = rig->peer("web1");
  const auto second = rig->peer("web1"), third = rig->peer("web1"), neighbour = rig->peer("db1");
  const auto over = third->call(kPing);
  EXPECT_EQ(over.status.code, Code::kResourceExhausted);
  EXPECT_THAT(over.status.message, HasSubstr("the limit connections (2) is reached; close one first"));
  EXPECT_TRUE(neighbour->call(kPing).status.ok());
  first.reset();
  rig->settle();
  EXPECT_TRUE(rig->peer("web1")->call(kPing).status.ok());
}

TEST(Server, NewConnectionsOfAVmComeAtARate) {
  Limits limits;
  limits.connect_rate = 2;
  limits.connect_burst = 3;
  const auto rig = started({.limits = limits});
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(rig->peer("web1")->call(kPing).status.ok());
  const auto over = rig->peer("web1")->call(kPing);
  EXPECT_EQ(over.status.code, Code::kResourceExhausted);
  EXPECT_EQ(over.status.retry_after, milliseconds(500));
  rig->advance(milliseconds(500));
  EXPECT_TRUE(rig->peer("web1")->call(kPing).status.ok());
}

TEST(Server, ConnectionsOfTheHostAreLimited) {
  const auto rig = started();
  rig->config.max_connections = 1;
  const auto first = rig->peer("web1");
  EXPECT_TRUE(first->call(kPing).status.ok());
  EXPECT_THAT(rig->peer("db1")->call(kPing).status.message, HasSubstr("max_connections (1)"));
}

TEST(Server, AVmIsAddedAndRemovedAtRunTime) {
  const auto rig = started();
  VmRecord record;
  record.name = "new1";
  record.unix_path = rig->path_of("new1");
  const auto added = rig->registry.add(record, false);
  ASSERT_NE(added.vm, nullptr);
  ASSERT_TRUE(rig->server.vm_added(*added.vm).ok());
  EXPECT_THAT(rig->log(), testing::Not(HasSubstr("registered"))) << "that may still be taken back";
  rig->server.record_added(*added.vm);
  const auto peer = rig->peer("new1");
  peer->hello();
  const auto removed = rig->registry.remove("new1");
  EXPECT_EQ(rig->server.vm_removed(*removed.vm), 1u);
  rig->server.record_removed(*removed.vm);
  EXPECT_TRUE(peer->wait_for_close());
  EXPECT_EQ(peer->goaway_reason(), wire::GoawayReason::kRemoved);
  EXPECT_FALSE(std::filesystem::exists(rig->path_of("new1")));
  EXPECT_THAT(rig->log(), AllOf(HasSubstr("VM \"new1\" registered"), HasSubstr("VM \"new1\" removed")));
}

// The last connection, the record and a call that is charged to the VM all go in one turn: the charge goes first.
TEST(Server, ACallNeverOutlivesItsVm) {
  const auto rig = started();
  VmRecord record;
  record.name = "new1";
  record.unix_path = rig->path_of("new1");
  ASSERT_TRUE(rig->server.vm_added(*rig->registry.add(record, false).vm).ok());
  auto peer = rig->peer("new1");
  peer->hello();
  const auto call = peer->start("hostcall.v1.Diagnostics/Sink", "", wire::Shape::kClientStream, milliseconds(20));
  v1::Chunk chunk;
  chunk.set_data("kept, and charged");
  EXPECT_TRUE(peer->send(call, chunk));
  rig->settle();
  EXPECT_GT(rig->vm("new1").quota.used(Resource::kMemory), 0u);
  class Removal {
   public:
    explicit Removal(Rig& at) : rig_(at), timer_(at.reactor, Callback::to<&Removal::remove>(this)) {
      timer_.set(at.reactor.now() + milliseconds(10));
    }

   private:
    void remove() { rig_.server.vm_removed(*rig_.registry.remove("new1").vm); }
    Rig& rig_;
    Timer timer_;
  } removal(*rig);
  peer.reset();
  rig->advance(milliseconds(30), milliseconds(30));
  EXPECT_EQ(rig->registry.find("new1"), nullptr);
  EXPECT_THAT(sessions(*rig), testing::IsEmpty());
}

TEST(Server, AListenerThatCannotBeOpenedIsReportedAndTriedAgain) {
  const auto rig = started();
  const auto place = rig->directory / "later";
  rig->write_vms(R"({"name": "fc1", "unix_path": ")" + place + R"(/fc1.sock"})");
  const auto warned = rig->reload();
  ASSERT_TRUE(warned.ok()) << "the others must not suffer";
  EXPECT_THAT(*warned, testing::ElementsAre(HasSubstr("VM \"fc1\" has no listener")));
  EXPECT_THAT(rig->log(), HasSubstr("VM \"fc1\" has no listener"));
  EXPECT_THAT(rig->server.unreachable(rig->vm("fc1")), HasSubstr("No such file or directory"));
  const auto failed = rig->server.vm_added(rig->vm("fc1"));
  ASSERT_FALSE(failed.ok());
  EXPECT_THAT(failed.error().message(), HasSubstr("No such file or directory"));
  std::filesystem::create_directory(place);
  EXPECT_TRUE(rig->reload().ok());
  EXPECT_TRUE(std::filesystem::is_socket(place + "/fc1.sock"));
  EXPECT_EQ(rig->server.unreachable(rig->vm("fc1")), "");
}

TEST(Server, AReloadOpensASocketAgainThatSomebodyHasRemoved) {
  const auto rig = started();
  const auto before = rig->peer("web1");
  before->hello();
  std::filesystem::remove(rig->path_of("web1"));
  EXPECT_THAT(rig->server.unreachable(rig->vm("web1")),
              HasSubstr("web1.sock is gone; hostcallctl policy reload opens it again"));
  EXPECT_EQ(rig->server.unreachable(rig->vm("db1")), "");
  const auto reloaded = rig->reload();
  ASSERT_TRUE(reloaded.ok());
  EXPECT_THAT(*reloaded, testing::IsEmpty());
  EXPECT_TRUE(rig->peer("web1")->call(kPing).status.ok());
  EXPECT_TRUE(before->call(kPing).status.ok()) << "its sessions stay";
}

TEST(Server, AnotherProgramsSocketStaysWhenTheVmGoes) {
  const auto rig = started();
  VmRecord record;
  record.name = "new1";
  record.unix_path = rig->path_of("new1");
  ASSERT_TRUE(rig->server.vm_added(*rig->registry.add(record, false).vm).ok());
  std::filesystem::remove(record.unix_path);
  const auto other = net::listen(net::Address::parse("unix:" + record.unix_path).value());
  ASSERT_TRUE(other.ok());
  const auto warned = rig->reload();
  ASSERT_TRUE(warned.ok());
  EXPECT_THAT(*warned, testing::ElementsAre(HasSubstr("another process listens there")));
  rig->server.vm_removed(*rig->registry.remove("new1").vm);
  EXPECT_TRUE(std::filesystem::is_socket(record.unix_path));
}

TEST(Server, AVmWithACidNeedsAVsockListener) {
  const auto rig = started();
  rig->write_vms(R"({"name": "cid1", "cid": 99})");
  ASSERT_TRUE(rig->reload().ok());
  EXPECT_THAT(rig->server.unreachable(rig->vm("cid1")), HasSubstr("hostcalld has no vsock listener; start"));
}

// Reloads that are asked for while one runs are one more.
TEST(Server, ReloadsAreNotRepeatedForNothing) {
  const auto rig = started();
  int told = 0;
  for (int i = 0; i < 100; ++i) rig->server.reload([&](const ReloadOutcome& outcome) { told += outcome.ok(); });
  rig->settle();
  EXPECT_EQ(told, 100);
  EXPECT_EQ(rig->stats.reloads, 2u);
}

// Counts the turns of a reactor as long as there are any.
class TurnCounter final : public TurnEnd {
 public:
  explicit TurnCounter(Reactor& reactor) : reactor_(reactor) { reactor.at_turn_end(*this); }
  ~TurnCounter() override { reactor_.forget(*this); }
  int count = 0;
  bool over = false;

 private:
  void on_turn_end() override {
    ++count;
    if (!over) reactor_.at_turn_end(*this);
  }
  Reactor& reactor_;
};

// No turn handles more than 128 VMs.
TEST(Server, AReloadOfManyVmsTakesMoreTurnsAndNotLongerOnes) {
  const auto turns = [](int vms) {
    const auto rig = started();
    std::string text = "{\"vms\": [";
    for (int i = 0; i < vms; ++i)
      text += (i == 0 ? "{\"name\": \"v" : ", {\"name\": \"v") + std::to_string(i) +
              "\", \"cid\": " + std::to_string(1000 + i) + "}";
    rig->write_vms(text + "]}");
    TurnCounter counter(rig->reactor);
    rig->server.reload([&](const ReloadOutcome& outcome) { counter.over = outcome.ok(); });
    rig->settle();
    EXPECT_EQ(rig->registry.all().size(), static_cast<std::size_t>(vms));
    return counter.count;
  };
  EXPECT_GT(turns(1280), turns(0) + 5 * 1280 / 128);
}

TEST(Server, RefusedConnectionsOfOneVmTakeNobodyElsesAnswer) {
  RigOptions options;
  options.limits.connections = 1;
  options.limits.connect_burst = 1000;
  const auto rig = started(options);
  std::vector<std::unique_ptr<WireClient>> held;
  for (int i = 0; i < 100; ++i) held.push_back(rig->peer("web1"));
  rig->settle();
  EXPECT_LE(rig->stats.connections_open, 1u + 64u) << "more are closed at once";
  const auto first = rig->peer("db1"), second = rig->peer("db1");
  EXPECT_TRUE(first->call(kPing).status.ok());
  EXPECT_THAT(second->call(kPing).status.message, HasSubstr("the limit connections (1) is reached"));
  held.clear();
  rig->settle();
  EXPECT_TRUE(rig->peer("web1")->call(kPing).status.ok());
}

TEST(Server, TheAdministratorIsNoConnectionOfAVm) {
  const auto rig = started();
  rig->config.max_connections = 1;
  const auto first = rig->peer("web1");
  EXPECT_TRUE(first->call(kPing).status.ok());
  EXPECT_THAT(rig->peer("db1")->call(kPing).status.message, HasSubstr("max_connections (1)"));
  const auto admin = rig->admin(), second = rig->admin();
  EXPECT_TRUE(admin->call(kPing).status.ok());
  EXPECT_TRUE(second->call(kPing).status.ok());
}

TEST(Server, AReloadTakesAllOrNothing) {
  const auto rig = started();
  const auto web = rig->peer("web1"), db = rig->peer("db1");
  web->hello();
  db->hello();
  rig->write_policy("{\"rules\": [\n oops");
  const auto failed = rig->reload();
  ASSERT_FALSE(failed.ok());
  EXPECT_THAT(failed.error().message(), HasSubstr("50-test.json:2"));
  EXPECT_EQ(rig->stats.reloads_failed, 1u);
  EXPECT_TRUE(web->call(kPing).status.ok()) << "the old policy holds";
  rig->write_policy(R"({"rules": []})");
  rig->write_vms(R"({"name": "web1", "unix_path": ")" + rig->path_of("web1") + "\"}");
  ASSERT_TRUE(rig->reload().ok());
  EXPECT_EQ(web->call(kPing).status.code, Code::kPermissionDenied);
  EXPECT_TRUE(db->wait_for_close()) << "db1 is gone from the file";
  EXPECT_FALSE(std::filesystem::exists(rig->path_of("db1")));
  EXPECT_EQ(rig->stats.reloads, 1u);
}

// Freeing many rules would take a turn of its own.
TEST(Server, AReloadThatFailsLateFreesItsPolicyOnTheOtherThread) {
  const auto rig = started();
  ASSERT_NE(rig->registry.add({.name = "rt", .cid = 77}, false).vm, nullptr);
  rig->write_vms(R"({"name": "other", "cid": 77})");
  const auto before = rig->background.jobs;
  const auto failed = rig->reload();
  ASSERT_FALSE(failed.ok());
  EXPECT_THAT(failed.error().message(), HasSubstr("VM \"other\""));
  EXPECT_EQ(rig->background.jobs, before + 2) << "reading and freeing";
  EXPECT_NE(rig->registry.find("rt"), nullptr);
}

TEST(Server, AReloadWarnsOfRulesThatNameNoMethodAndOfWhatNeedsARestart) {
  const auto rig = started();
  rig->write_policy(R"({"rules": [{"vms": ["*"], "calls": ["hostcall.v1.Session/Pong"], "action": "allow"}]})");
  rig->write_config(R"(, "listen": ["vsock::4711"], "log_level": "warning")");
  rig->log();
  ASSERT_TRUE(rig->reload().ok());
  EXPECT_THAT(rig->log(), AllOf(HasSubstr("no method is named \"hostcall.v1.Session/Pong\""),
                                HasSubstr("listen stays [], because a reload can't change it to [\"vsock::4711\"]")));
  EXPECT_FALSE(rig->journal.writes(Level::kInfo)) << "the new level is in force";
}

// A service that is disabled is named by its own warning.
TEST(Server, AStartAndAReloadWarnOfRulesThatNameNoService) {
  test::Rig rig;
  rig.router.opened<v1::Run::Start>(
      Audience::kGuest, [](std::string_view) { return Status(); },
      [](const Method&, const CallContext&, Handler&) { return Status(); });
  const auto policy = [](const std::string& service) {
    return R"({"rules": [{"vms": ["*"], "calls": ["hostcall.v1.Run/Start"], "resources": [")" + service +
           R"("], "action": "allow"}]})";
  };
  rig.access.replace(Policy::parse({{"p.json", policy("bakcup")}}));
  rig.use_services(R"({"services": [{"name": "backup", "run": ["/bin/x"]}, {"name": "broken", "run": ["x"]}]})");
  rig.start();
  EXPECT_THAT(rig.log(), HasSubstr("services.d has no service \"bakcup\", so this entry matches nothing; did you mean "
                                   "\"backup\"?"));
  for (const auto* service : {"backup", "broken"}) {
    rig.write_policy(policy(service));
    ASSERT_TRUE(rig.reload().ok());
    EXPECT_THAT(rig.log(), Not(HasSubstr("has no service"))) << service;
  }
  rig.directory.write("services.d/50-test.json", R"({"name": "other", "run": ["/bin/x"]})");
  ASSERT_TRUE(rig.reload().ok());
  EXPECT_THAT(rig.log(), HasSubstr("services.d has no service \"broken\""));
}

TEST(Server, AStartAndAReloadWarnOfServicesThatCantBeUsed) {
  test::Rig rig;
  rig.config.runner = Config::Runner::kSystemd;
  const auto list = [](const std::string& name, const std::string& path) {
    return R"({"services": [{"name": ")" + name + R"(", "socket": "unix:)" + path + "\"}]}";
  };
  rig.use_services(list("first", rig.path_of("admin")));
  rig.start();
  rig.settle();
  const auto log = rig.log();
  EXPECT_THAT(log, HasSubstr("1 policy rule, 1 service"));
  EXPECT_THAT(log, HasSubstr("50-test.json:1: the service first: its calls fail, because "));
  EXPECT_THAT(log, HasSubstr("is hostcalld's own socket: the admin socket"));
  rig.directory.write("services.d/50-test.json", list("second", rig.path_of("db1")));
  const auto reloaded = rig.reload();
  ASSERT_TRUE(reloaded.ok());
  EXPECT_THAT(*reloaded, testing::Contains(HasSubstr("own socket: the listener of VM \"db1\"")));
  EXPECT_THAT(rig.log(), HasSubstr("the service second: its calls fail"));
}

// Otherwise its records and listeners would be in two places.
TEST(Server, AReloadKeepsTheDirectoriesInUse) {
  const auto rig = started();
  const auto running = rig->config;
  std::filesystem::create_directory(rig->directory / "other");
  rig->config.runtime_directory = rig->config.state_directory = rig->directory / "other";
  rig->write_config("");
  rig->config = running;
  rig->write_vms(R"({"name": "fc1", "vmm_uid": )" + std::to_string(::getuid()) + "}");
  const auto outcome = rig->reload();
  ASSERT_TRUE(outcome.ok());
  EXPECT_THAT(*outcome,
              testing::ElementsAre(HasSubstr("runtime_directory stays "), HasSubstr("state_directory stays ")));
  EXPECT_EQ(rig->vm("fc1").record.unix_path, rig->directory / "vm/fc1/vsock.sock_18499");
  EXPECT_EQ(rig->config.runtime_directory, running.runtime_directory);
  EXPECT_EQ(rig->config.state_directory, running.state_directory);
}

TEST(Server, ASessionIsClosedByItsNumber) {
  const auto rig = started();
  const auto peer = rig->peer("web1");
  peer->hello();
  EXPECT_FALSE(rig->server.close_session(7, "no such session"));
  EXPECT_TRUE(rig->server.close_session(1, "the operator's wish"));
  EXPECT_TRUE(peer->wait_for_close());
  EXPECT_EQ(*peer->goaway_text(), "the operator's wish");
}

TEST(Server, AtTheEndRunningCallsMayFinish) {
  const auto rig = started();
  const auto busy = rig->peer("web1"), idle = rig->peer("db1");
  busy->hello();
  idle->hello();
  const auto call = busy->start(kEchoStream, "", wire::Shape::kBidiStream);
  rig->settle();
  rig->server.shut_down();
  EXPECT_TRUE(idle->wait_for_close());
  EXPECT_EQ(idle->goaway_reason(), wire::GoawayReason::kShutdown);
  rig->advance(seconds(1));
  EXPECT_EQ(sessions(*rig), std::vector<std::string>{"web1"});
  v1::EchoRequest message;
  message.set_payload("still served");
  EXPECT_TRUE(busy->send(call, message));
  EXPECT_TRUE(busy->receive(call).has_value());
  busy->close_send(call);
  EXPECT_TRUE(busy->finish(call).status.ok());
  EXPECT_TRUE(busy->wait_for_close());
}

TEST(Server, AtTheEndOfTheDrainTimeCallsAreCutOff) {
  const auto rig = started();
  const auto busy = rig->peer("web1");
  busy->hello();
  const auto call = busy->start(kEchoStream, "", wire::Shape::kBidiStream);
  rig->settle();
  rig->server.shut_down();
  rig->advance(rig->config.timeouts.drain - milliseconds(1), seconds(1));
  EXPECT_EQ(sessions(*rig).size(), 1u);
  rig->advance(milliseconds(1));
  const auto answer = busy->finish(call);
  EXPECT_EQ(answer.status.code, Code::kUnavailable);
  EXPECT_THAT(answer.status.message, HasSubstr("the call did not finish in time"));
}

TEST(Server, AStreamThatWouldLastEndsWhenTheDaemonStops) {
  const auto rig = started();
  const auto peer = rig->peer("web1");
  peer->hello();
  v1::SourceRequest request;
  request.set_total_bytes(std::uint64_t{1} << 40);
  const auto call =
      peer->start("hostcall.v1.Diagnostics/Source", request.SerializeAsString(), wire::Shape::kServerStream);
  rig->settle();
  rig->server.shut_down();
  while (peer->receive(call)) {
  }
  EXPECT_EQ(peer->finish(call).status.code, Code::kUnavailable);
}

TEST(Server, DenialsThatRepeatAreCounted) {
  const auto rig = started({.policy = R"({"rules": []})"});
  const auto peer = rig->peer("web1");
  for (int i = 0; i < 300; ++i) EXPECT_EQ(peer->call(kPing).status.code, Code::kPermissionDenied);
  rig->log();
  rig->advance(seconds(66), seconds(1));
  EXPECT_THAT(rig->log(), HasSubstr("(299 more times within "));
}

}  // namespace
}  // namespace hostcall::daemon
