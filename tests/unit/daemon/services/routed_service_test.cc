// Routed services: which methods there are, who may call them, and unary calls from end to end. The other shapes are in
// routed_stream_test.cc, and servers that go down or misbehave in backend_test.cc.
#include "daemon/services/routed_service.h"

#include <sys/socket.h>

#include "proto/base/bounded_text.h"
#include "tests/unit/daemon/services/routed_fixture.h"

namespace hostcall::daemon::test {
namespace {

using hostcall::test::delimited;
using hostcall::test::descriptor_set;
using hostcall::test::file_descriptor;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::Pair;

class RoutedServiceTest : public RoutedTest {
 protected:
  // Beside one that lets guests say Hello.
  void rules(const std::string& rules) {
    policy(R"({"vms": ["*"], "calls": ["hostcall.v1.Session/*"], "action": "allow"})" +
           (rules.empty() ? "" : "," + rules));
  }
};
HOSTCALL_BOTH_PROTOCOLS(RoutedServiceTest);

class DescribedTest : public RoutedTest {
 protected:
  DescribedTest() {
    rig_.directory.write(
        "inventory.desc",
        descriptor_set({file_descriptor("acme.v1", "Inventory",
                                        {{.name = "Get"},
                                         {.name = "List", .server_streams = true},
                                         {.name = "Put", .client_streams = true},
                                         {.name = "Sync", .client_streams = true, .server_streams = true}})}));
    rig_.use_services(entry(R"(, "descriptors": ")" + (rig_.directory / "inventory.desc") + "\""));
  }
};
HOSTCALL_BOTH_PROTOCOLS(DescribedTest);

std::string any(std::string_view type, std::string_view value) {
  return delimited(3, delimited(1, type) + delimited(2, value));
}

// ---------------------------------------------------------------- a call

TEST_P(RoutedServiceTest, PassesACallOnAndItsReplyBack) {
  const auto caller = guest("web1");
  const auto stream = ask(*caller, "Get", "\x08\x2a not protobuf \xff");
  ASSERT_EQ(backend_.calls.size(), 1u);
  EXPECT_EQ(backend_.last().service, kInventory);
  EXPECT_EQ(backend_.last().method, "Get");
  EXPECT_EQ(backend_.last().payload, "\x08\x2a not protobuf \xff");
  EXPECT_FALSE(backend_.last().remote_open);
  EXPECT_FALSE(backend_.last().said_closed);
  EXPECT_EQ(rig_.catalog.calls_of(kInventory), 1u);
  const auto answer = answered(*caller, stream, "reply \xfe");
  EXPECT_TRUE(answer.status.ok()) << answer.status.message;
  EXPECT_EQ(answer.payload, "reply \xfe");
  expect_nothing_left();
}

TEST_P(RoutedServiceTest, ABaseCallerIsServedToo) {
  const auto caller = peer("web1");
  const auto answer = answered(*caller, ask(*caller, "Get", ""), "");
  EXPECT_TRUE(answer.arrived);
  EXPECT_TRUE(answer.status.ok());
  expect_nothing_left();
}

TEST_P(RoutedServiceTest, TheServerGetsWhatIsLeftOfTheDeadline) {
  const auto caller = guest("web1");
  ask(*caller, "Get", "", Shape::kUnary, seconds(5));
  EXPECT_EQ(backend_.last().timeout_nano, nanoseconds(seconds(5)).count());
  ask(*caller, "Get", "");
  EXPECT_EQ(backend_.last().timeout_nano, nanoseconds(rig_.config.timeouts.call_default).count());
}

TEST_P(RoutedServiceTest, AStatusComesBackWithAllItsDetails) {
  const auto caller = guest("web1");
  const auto details = any("type.googleapis.com/acme.v1.Reason", std::string("\0\xff why", 6)) +
                       any("type.googleapis.com/google.rpc.RetryInfo", delimited(1, "\x08\x03")) + any("", "");
  const auto answer =
      answered(*caller, ask(*caller), "", {Code::kFailedPrecondition, "no such \"shelf\"", {}, details});
  EXPECT_EQ(answer.status.code, Code::kFailedPrecondition);
  EXPECT_EQ(answer.status.message, "no such \"shelf\"");
  EXPECT_EQ(answer.status.details, details);
  EXPECT_EQ(answer.status.retry_after, seconds(3));
  expect_nothing_left();
}

TEST_P(RoutedServiceTest, OnlyTheCodesOfGrpcArePassedOn) {
  const auto caller = guest("web1");
  for (const int code : {17, 4711, -1}) {
    const auto answer = answered(*caller, ask(*caller), "", {static_cast<Code>(code), "odd"});
    EXPECT_EQ(answer.status.code, Code::kUnknown) << code;
    EXPECT_EQ(answer.status.message, "odd");
  }
  EXPECT_EQ(answered(*caller, ask(*caller), "", {Code::kUnauthenticated, "16"}).status.code, Code::kUnauthenticated);
}

TEST_P(RoutedServiceTest, OfAHugeStatusOnlyTheStartIsPassedOn) {
  const auto caller = guest("web1");
  const auto answer = answered(*caller, ask(*caller), "",
                               {Code::kInternal, std::string(100'000, 'm'), {}, any("t", std::string(70'000, 'd'))});
  EXPECT_EQ(answer.status.code, Code::kInternal);
  EXPECT_LE(answer.status.message.size(), kMaxToldText);
  EXPECT_EQ(answer.status.details, "");
}

TEST_P(RoutedServiceTest, LargeMessagesPass) {
  limit("web1", [](Limits& limits) {
    limits.message_bytes = wire::kMaxDataBytes;
    limits.outbound_bytes = 8 * 1024 * 1024;
  });
  const auto caller = guest("web1");
  const std::string request(3'900'000, 'q'), reply(4'000'000, 'r');
  const auto stream = ask(*caller, "Get", request);
  while (caller->pump()) {
  }
  ASSERT_EQ(backend_.calls.size(), 1u);
  EXPECT_TRUE(backend_.last().payload == request);
  EXPECT_TRUE(answered(*caller, stream, reply).payload == reply);
  EXPECT_TRUE(works(*caller));
  expect_nothing_left();
}

TEST_P(RoutedServiceTest, ARequestThatMetadataMakesTooLargeIsRefused) {
  limit("web1", [](Limits& limits) { limits.message_bytes = wire::kMaxDataBytes; });
  const auto caller = guest("web1");
  constexpr std::size_t kEnvelope = sizeof kInventory - 1 + sizeof "Get" - 1 + 4 + 5;
  const auto answer = caller->finish(ask(*caller, "Get", std::string(wire::kMaxDataBytes - kEnvelope, 'x')));
  expect(answer, Code::kResourceExhausted, "more than 4 MiB");
  EXPECT_TRUE(backend_.calls.empty());
  EXPECT_TRUE(works(*caller));
  expect_nothing_left();
}

// ---------------------------------------------------------------- which methods there are

TEST_P(RoutedServiceTest, WithoutDescriptorsAnyNameIsPassedOn) {
  const auto caller = guest("web1");
  ask(*caller, "AnyThing_9");
  EXPECT_EQ(backend_.last().method, "AnyThing_9");
  ask(*caller, std::string(128, 'm'));
  EXPECT_EQ(backend_.last().method, std::string(128, 'm'));
  EXPECT_EQ(backend_.calls.size(), 2u);
  for (const auto& name : {std::string(129, 'm'), std::string(""), std::string("a b"), std::string("9a"),
                           std::string("a/b"), std::string("*"), std::string("a\0b", 3), std::string("\xc3\xa4")})
    expect(caller->finish(ask(*caller, name)), Code::kUnimplemented, "no such method");
  EXPECT_EQ(backend_.calls.size(), 2u);
}

TEST_P(RoutedServiceTest, OtherServicesAreNotPassedOn) {
  const auto caller = guest("web1");
  for (const auto* name : {"acme.v1.Inventor/Get", "acme.v1.Inventory2/Get", "Acme.v1.Inventory/Get", "/Get"})
    expect(caller->finish(caller->start(name, "")), Code::kUnimplemented, "no such method");
  rig_.use_services(R"({"name": "acme", "socket": "unix:)" + path() + "\"}");
  expect(caller->finish(caller->start("acme/Get", "")), Code::kUnimplemented, "no such method");
  EXPECT_TRUE(backend_.calls.empty());
}

// As programs and sockets say it; policy comes first.
TEST_P(RoutedServiceTest, AnEntryWithAnErrorIsUnavailable) {
  const auto caller = guest("web1");
  rig_.use_services(R"({"service": "acme.v1.Inventory", "ttrpc": 7})");
  expect(caller->finish(ask(*caller)), Code::kUnavailable, "is disabled, because its entry on the host has an error");
  expect(caller->finish(ask(*caller, "no name")), Code::kUnimplemented, "no such method");
  rules("");
  expect(caller->finish(ask(*caller)), Code::kPermissionDenied, "acme.v1.Inventory/Get");
}

TEST_P(RoutedServiceTest, StreamsNeedPermission) {
  rig_.use_services(entry(""));
  const auto caller = guest("web1");
  for (const auto shape : {Shape::kServerStream, Shape::kClientStream, Shape::kBidiStream})
    expect(caller->finish(ask_stream(*caller, shape)), Code::kUnimplemented, R"("streaming": true)");
  EXPECT_TRUE(backend_.calls.empty());
  EXPECT_TRUE(works(*caller));
  expect_nothing_left();
}

TEST_P(DescribedTest, OnlyMethodsThatAreDescribedArePassedOn) {
  const auto caller = guest("web1");
  EXPECT_TRUE(works(*caller));
  expect(caller->finish(ask(*caller, "Drop")), Code::kUnimplemented, "no such method");
  expect(caller->finish(ask(*caller, "get")), Code::kUnimplemented, "no such method");
  EXPECT_EQ(backend_.calls.size(), 1u);
}

// Descriptors say what streams, and need no permission beside.
TEST_P(DescribedTest, EachMethodHasItsShape) {
  const auto caller = guest("web1");
  const auto sent = [&](const char* method, Shape shape) {
    const auto before = backend_.calls.size();
    ask(*caller, method, "", shape);
    return backend_.calls.size() > before;
  };
  ASSERT_TRUE(sent("List", Shape::kServerStream));
  EXPECT_TRUE(backend_.last().said_closed);
  ASSERT_TRUE(sent("Put", Shape::kClientStream));
  EXPECT_TRUE(backend_.last().remote_open);
  ASSERT_TRUE(sent("Sync", Shape::kBidiStream));
  EXPECT_TRUE(backend_.last().remote_open);
  const auto before = backend_.calls.size();
  expect(caller->finish(ask(*caller, "Get", "", Shape::kBidiStream)), Code::kInvalidArgument, "takes one request");
  expect(caller->finish(ask(*caller, "List", "", Shape::kBidiStream)), Code::kInvalidArgument, "takes one request");
  expect(caller->finish(ask(*caller, "Put", "", Shape::kUnary)), Code::kInvalidArgument, "stream");
  expect(caller->finish(ask(*caller, "Sync", "", Shape::kServerStream)), Code::kInvalidArgument, "stream");
  EXPECT_EQ(backend_.calls.size(), before);
}

TEST_P(RoutedServiceTest, TheAdminSocketBelongsToNoVm) {
  const auto host = admin();
  expect(host->finish(ask(*host)), Code::kFailedPrecondition, "for VMs");
  EXPECT_TRUE(backend_.calls.empty());
}

// ---------------------------------------------------------------- policy and limits

TEST_P(RoutedServiceTest, PolicyDenysByDefault) {
  rules("");
  const auto caller = guest("web1");
  expect(caller->finish(ask(*caller)), Code::kPermissionDenied, "acme.v1.Inventory/Get");
  rules(R"({"vms": ["web1"], "calls": ["acme.v1.Inventory/Get"], "action": "allow"})");
  EXPECT_TRUE(works(*caller));
  expect(caller->finish(ask(*caller, "Put")), Code::kPermissionDenied, "acme.v1.Inventory/Put");
  rules(R"({"vms": ["web1"], "calls": ["acme.v1.Inventory/Drop"], "action": "deny"},
            {"vms": ["web1"], "calls": ["acme.v1.Inventory/*"], "action": "allow"})");
  ask(*caller, "Put");
  EXPECT_EQ(backend_.last().method, "Put");
  expect(caller->finish(ask(*caller, "Drop")), Code::kPermissionDenied, "Drop");
  const auto other = guest("db1");
  expect(other->finish(ask(*other)), Code::kPermissionDenied, "Get");
}

// More names than are kept.
TEST_P(RoutedServiceTest, ManyNamesHaveTheirOwnRules) {
  rules(R"({"vms": ["*"], "calls": ["acme.v1.Inventory/M7"], "action": "deny"},
            {"vms": ["*"], "calls": ["acme.v1.Inventory/*"], "action": "allow"})");
  const auto caller = guest("web1");
  for (int round = 0; round < 2; ++round)
    for (int i = 0; i < 40; ++i) {
      const auto method = "M" + std::to_string(i);
      const auto before = backend_.calls.size();
      const auto stream = ask(*caller, method);
      EXPECT_EQ(backend_.calls.size() == before, i == 7) << method;
      if (i != 7) answered(*caller, stream, "");
    }
}

TEST_P(RoutedServiceTest, ARateOfPolicyHolds) {
  rules(R"({"vms": ["*"], "calls": ["acme.v1.Inventory/*"], "action": "allow", "rate": 1, "burst": 2})");
  const auto caller = guest("web1");
  EXPECT_TRUE(works(*caller));
  EXPECT_TRUE(works(*caller));
  const auto answer = caller->finish(ask(*caller));
  expect(answer, Code::kResourceExhausted, "rate");
  EXPECT_GT(answer.status.retry_after, Duration::zero());
  advance(seconds(1));
  EXPECT_TRUE(works(*caller));
}

TEST_P(RoutedServiceTest, PolicyThatChangesEndsCalls) {
  const auto caller = guest("web1");
  const auto stream = ask(*caller);
  rig_.write_policy(R"({"rules": []})");
  ASSERT_TRUE(rig_.reload().ok());
  settle();
  expect(caller->finish(stream), Code::kPermissionDenied, "acme.v1.Inventory/Get");
  if (is_ttrpc())
    EXPECT_FALSE(backend_.is_open(0));
  else
    EXPECT_TRUE(backend_.last().cancelled);
  expect_nothing_left();
}

TEST_P(RoutedServiceTest, OnlySoManyCallsAtOnce) {
  use(R"(, "concurrent": 40)");
  rig_.use_services(entry(R"(, "concurrent": 3, "concurrent_per_vm": 2)"));
  const auto web = guest("web1"), db = guest("db1");
  const auto first = ask(*web);
  ask(*web);
  expect(web->finish(ask(*web)), Code::kResourceExhausted, "concurrent_per_vm (2)");
  ask(*db);
  expect(db->finish(ask(*db)), Code::kResourceExhausted, "concurrent (3)");
  ASSERT_EQ(backend_.calls.size(), 3u);
  backend_.answer(backend_.calls[0], "");
  settle();
  EXPECT_TRUE(web->finish(first).status.ok());
  ask(*db);
  EXPECT_EQ(backend_.calls.size(), 4u);
}

TEST_P(RoutedServiceTest, TheJournalHasARecord) {
  const auto caller = guest("web1");
  const auto stream = ask(*caller, "Get", "12345");
  (void)rig_.log();
  answered(*caller, stream, "1234567");
  const auto log = rig_.log();
  EXPECT_THAT(log, HasSubstr("called acme.v1.Inventory/Get: OK"));
  EXPECT_THAT(log, HasSubstr("5 bytes in, 7 bytes out, unix:" + path()));
  rules(R"({"vms": ["*"], "calls": ["*"], "action": "allow", "audit": false})");
  EXPECT_TRUE(works(*caller));
  EXPECT_THAT(rig_.log(), Not(HasSubstr("called acme.v1.Inventory/Get")));
}

TEST_P(RoutedServiceTest, AnAdministratorCanEndACall) {
  const auto caller = guest("web1");
  const auto stream = ask(*caller);
  std::vector<std::uint64_t> numbers;
  host_calls_.for_each(0, [&](std::uint64_t number, const ListedHostCall& call) {
    numbers.push_back(number);
    EXPECT_EQ(call.info().place, "unix:" + path());
    return true;
  });
  ASSERT_EQ(numbers.size(), 1u);
  host_calls_.find(numbers[0])->end_by_administrator();
  settle();
  expect(caller->finish(stream), Code::kCancelled, "ended by an administrator");
  expect_nothing_left();
  EXPECT_TRUE(works(*caller));
}

// ---------------------------------------------------------------- reloads

TEST_P(RoutedServiceTest, ACallKeepsItsServerThroughAReload) {
  const auto caller = guest("web1");
  const auto stream = ask(*caller);
  ScriptedBackend other(rig_.directory / "other.sock");
  rig_.use_services(R"({"service": "acme.v1.Inventory", "protocol": ")" + protocol_ + R"(", "ttrpc": "unix:)" +
                    (rig_.directory / "other.sock") + "\"}");
  const auto second = ask(*caller);
  while (other.pump()) settle();
  ASSERT_EQ(other.calls.size(), 1u);
  other.answer("new");
  while (other.pump()) settle();
  EXPECT_EQ(caller->finish(second).payload, "new");
  EXPECT_EQ(answered(*caller, stream, "old").payload, "old");
  advance(seconds(130));
  while (other.pump()) settle();
  EXPECT_EQ(backend_.open_connections(), 0u) << "nothing of the old entry stays";
  EXPECT_EQ(other.open_connections(), 0u);
  expect_nothing_left();
}

TEST_P(RoutedServiceTest, ACallOfAServiceThatIsRemovedGoesOn) {
  const auto caller = guest("web1");
  const auto stream = ask(*caller);
  rig_.use_services(R"({"services": []})");
  expect(caller->finish(ask(*caller)), Code::kUnimplemented, "no such method");
  EXPECT_EQ(answered(*caller, stream, "late").payload, "late");
  advance(seconds(130));
  EXPECT_EQ(backend_.open_connections(), 0u);
}

TEST_P(RoutedServiceTest, AVmThatIsRemovedTakesItsCallsWithIt) {
  const auto caller = guest("web1");
  ask(*caller);
  rig_.write_vms(R"({"vms": [{"name": "db1", "unix_path": ")" + rig_.path_of("db1") + "\"}]}");
  ASSERT_TRUE(rig_.reload().ok());
  advance(seconds(15));
  if (is_ttrpc())
    EXPECT_FALSE(backend_.is_open(0));
  else
    EXPECT_TRUE(backend_.last().cancelled);
  EXPECT_EQ(rig_.catalog.calls_of(kInventory), 0u);
}

TEST_P(RoutedServiceTest, ASessionThatIsLostTakesItsCallsWithIt) {
  const auto caller = guest("web1");
  for (int i = 0; i < 5; ++i) ask(*caller);
  ::shutdown(caller->fd(), SHUT_RDWR);
  settle();
  for (const auto& call : backend_.calls) EXPECT_EQ(call.stream, nullptr);
  expect_nothing_left();
  const auto again = guest("web1");
  EXPECT_TRUE(works(*again));
}

}  // namespace
}  // namespace hostcall::daemon::test
