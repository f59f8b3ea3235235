// Session: who is calling, what it may call, and how much of its limits is left.
#include "daemon/services/session_service.h"

#include <map>

#include "hostcall/v1/diagnostics.hostcall.h"
#include "hostcall/v1/session.hostcall.h"
#include "hostcall/v1/store.hostcall.h"
#include "proto/base/escape.h"
#include "tests/unit/daemon/services/fixture.h"
#include "tests/unit/daemon/services/one_session.h"

namespace hostcall::daemon {
namespace {

namespace Session = v1::Session;

class SessionServiceTest : public test::ServicesTest {
 protected:
  std::map<std::string, std::uint64_t> left(test::WireClient& caller) {
    const auto list = must<Session::ListServices>(caller);
    std::map<std::string, std::uint64_t> left;
    for (const auto& limit : list.limits()) left[limit.name()] = limit.left();
    return left;
  }
};

TEST_F(SessionServiceTest, AVmIsKnownByItsSocket) {
  VmRecord record;
  record.name = "app1";
  record.uuid = "7f3e1c1e-0000-4000-8000-000000000001";
  record.tags = {"web", "blue"};
  record.unix_path = rig_.path_of("app1");
  const auto added = rig_.registry.add(record, false);
  ASSERT_TRUE(added.vm) << added.refusal.text;
  ASSERT_TRUE(rig_.server.vm_added(*added.vm).ok());
  const auto caller = guest("app1", "boot-7");
  const auto who = must<Session::WhoAmI>(*caller);
  EXPECT_EQ(who.vm_name(), "app1");
  EXPECT_EQ(who.uuid(), record.uuid);
  EXPECT_THAT(who.tags(), testing::ElementsAre("web", "blue"));
  EXPECT_EQ(who.evidence(), "unix");
  EXPECT_EQ(who.unix_path(), "") << "the host's own business";
  EXPECT_EQ(who.cid(), 0u);
  EXPECT_EQ(who.registration(), added.vm->registration);
  EXPECT_EQ(who.boot_id(), "boot-7");
  EXPECT_EQ(who.session_id(), 1u);
}

TEST_F(SessionServiceTest, AnAdministratorIsNoVm) {
  const auto caller = admin();
  const auto who = must<Session::WhoAmI>(*caller);
  EXPECT_EQ(who.vm_name(), "@admin");
  EXPECT_EQ(who.evidence(), "admin");
  EXPECT_EQ(who.unix_path(), rig_.path_of("admin"));
  EXPECT_EQ(who.registration(), 0u);
  EXPECT_TRUE(who.uuid().empty());
}

// A caller by vsock, which no test opens.
TEST_F(SessionServiceTest, AVmIsKnownByItsCid) {
  Caller caller;
  caller.vm = rig_.registry.find("web1");
  caller.peer.family = net::Address::Family::kVsock;
  caller.peer.cid = 42;
  caller.peer.port = 1023;
  test::OneSession session(9);
  Handler handler;
  const CallContext context{caller, session, rig_.reactor.now(), kNever, 4096};
  const auto answer = rig_.router.find(Session::WhoAmI::kFullName)->start(context, {}, handler);
  ASSERT_TRUE(answer.status.ok());
  std::string bytes(answer.reply.size(), '\0');
  answer.reply.write(bytes.data());
  v1::WhoAmIResponse who;
  ASSERT_TRUE(who.ParseFromString(bytes));
  EXPECT_EQ(who.vm_name(), "web1");
  EXPECT_EQ(who.evidence(), "cid");
  EXPECT_EQ(who.cid(), 42u);
  EXPECT_EQ(who.port(), 1023u);
  EXPECT_TRUE(who.unix_path().empty());
  EXPECT_EQ(who.session_id(), 9u);
}

TEST_F(SessionServiceTest, ListsWhatPolicyAllowsWithItsConditions) {
  policy(R"({"vms": ["web1"], "calls": ["hostcall.v1.Session/*"], "action": "allow"},
            {"vms": ["web1"], "calls": ["hostcall.v1.Store/Get"], "resources": ["/self/**"], "action": "allow", "rate": 5})");
  const auto caller = guest("web1");
  const auto list = must<Session::ListServices>(*caller);
  std::vector<std::string> methods;
  for (const auto& method : list.methods()) methods.push_back(method.method());
  EXPECT_THAT(methods, testing::ElementsAre("hostcall.v1.Session/Descriptors", "hostcall.v1.Session/Hello",
                                            "hostcall.v1.Session/ListServices", "hostcall.v1.Session/Ping",
                                            "hostcall.v1.Session/WhoAmI", "hostcall.v1.Store/Get"));
  EXPECT_THAT(list.methods(5).resources(), testing::ElementsAre("/self/**"));
  EXPECT_DOUBLE_EQ(list.methods(5).rate_per_second(), 5);
}

TEST_F(SessionServiceTest, AnAdministratorMayAllAndHasNoLimits) {
  const auto caller = admin();
  const auto list = must<Session::ListServices>(*caller);
  EXPECT_EQ(static_cast<std::size_t>(list.methods_size()), rig_.router.methods().size());
  EXPECT_EQ(list.limits_size(), 0);
}

TEST_F(SessionServiceTest, TellsWhatIsLeftAtThisMoment) {
  const auto caller = guest("web1"), other = guest("web1");
  const Limits limits;
  auto now = left(*caller);
  EXPECT_EQ(now["connections"], limits.connections - 2);
  EXPECT_EQ(now["connect_burst"], limits.connect_burst - 2);
  EXPECT_EQ(now["streams"], limits.streams - 1) << "this call";
  EXPECT_EQ(now["store_keys"], limits.store_keys);
  EXPECT_EQ(now["message_bytes"], limits.message_bytes);
  v1::PutRequest put;
  put.set_key("/self/k");
  put.set_value("1234");
  must<v1::Store::Put>(*other, put);
  v1::WatchRequest watch;
  watch.set_prefix("/self/");
  start<v1::Store::Watch>(*other, watch);
  now = left(*caller);
  EXPECT_EQ(now["store_keys"], limits.store_keys - 1);
  EXPECT_EQ(now["store_bytes"], limits.store_bytes - std::string("/vm/web1/k1234").size());
  EXPECT_EQ(now["store_watches"], limits.store_watches - 1);
  EXPECT_EQ(now["store_write_burst"], limits.store_write_burst - 1);
  EXPECT_EQ(now["streams"], limits.streams - 2);
  advance(milliseconds(50));
  now = left(*caller);
  EXPECT_EQ(now["store_write_burst"], limits.store_write_burst) << "50 a second come back";
  EXPECT_EQ(now["connect_burst"], limits.connect_burst - 1) << "20 a second come back";
}

TEST_F(SessionServiceTest, PingIsBounded) {
  const auto caller = guest("web1");
  v1::PingRequest request;
  for (const auto size : {0u, 1024u}) {
    request.set_payload(std::string(size, 'p'));
    EXPECT_EQ(must<Session::Ping>(*caller, request).payload(), request.payload());
  }
  request.set_payload(std::string(1025, 'p'));
  expect_refused(call<Session::Ping>(*caller, request).status, Code::kInvalidArgument,
                 "the payload of a ping has 1025 bytes, at most 1024 are allowed");
}

TEST_F(SessionServiceTest, DescribesItsServices) {
  const auto caller = guest("web1");
  const auto set = must<Session::Descriptors>(*caller).file_descriptor_set();
  for (const auto* name : {"hostcall/v1/store.proto", "ListServices", "WatchRequest"})
    EXPECT_THAT(set, testing::HasSubstr(name));
}

TEST_F(SessionServiceTest, DescribesItselfByTheNameOfEachOfItsServices) {
  const auto caller = guest("web1");
  const auto all = must<Session::Descriptors>(*caller).file_descriptor_set();
  v1::DescriptorsRequest request;
  for (const auto* name : {"hostcall.v1.Store", "hostcall.v1.Admin", "hostcall.v1.None"}) {
    request.set_service(name);
    EXPECT_EQ(must<Session::Descriptors>(*caller, request).file_descriptor_set(), all) << name;
  }
  for (const auto* name : {"hostcall", "hostcallx.v1.Store", "acme.v1.\x1bInventory"}) {
    request.set_service(name);
    expect_refused(call<Session::Descriptors>(*caller, request).status, Code::kNotFound,
                   "the host has no service " + in_quotes(name) + " that this VM may call");
  }
}

TEST_F(SessionServiceTest, AGuestLearnsNothingOfTheAdministratorsService) {
  const auto of_guest = must<Session::Descriptors>(*guest("web1")).file_descriptor_set();
  const auto of_host = must<Session::Descriptors>(*admin()).file_descriptor_set();
  for (const auto* name : {"admin.proto", "VmRecord", "PolicyExplain"}) {
    EXPECT_THAT(of_guest, testing::Not(testing::HasSubstr(name)));
    EXPECT_THAT(of_host, testing::HasSubstr(name));
  }
}

TEST_F(SessionServiceTest, ADescriptionThatDoesNotFitIsRefused) {
  limit("web1", [](Limits& limits) { limits.outbound_bytes = 4096; });
  const auto caller = guest("web1");
  expect_refused(call<Session::Descriptors>(*caller).status, Code::kResourceExhausted,
                 "does not fit into outbound_bytes");
  EXPECT_EQ(sum_of(rig_.stats.limits_hit), 1u);
}

}  // namespace
}  // namespace hostcall::daemon
