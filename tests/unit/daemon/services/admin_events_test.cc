// Who did what, as administrators see it: each action with its outcome, events as they come, and what a slow reader is
// told.
#include <filesystem>

#include "hostcall/v1/admin.hostcall.h"
#include "hostcall/v1/diagnostics.hostcall.h"
#include "hostcall/v1/session.hostcall.h"
#include "tests/unit/daemon/services/store_fixture.h"

namespace hostcall::daemon {
namespace {

using test::WireClient;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
namespace A = v1::Admin;

class AdminEventsTest : public test::StoreServiceFixture {
 protected:
  static v1::EventsRequest of_kinds(const std::vector<std::string>& kinds, bool follow = false) {
    v1::EventsRequest request;
    request.set_follow(follow);
    for (const auto& kind : kinds) request.add_kinds(kind);
    return request;
  }
  std::vector<v1::HostEvent> events(const v1::EventsRequest& request) {
    const auto stream = start<A::Events>(*host_, request);
    std::vector<v1::HostEvent> all;
    while (const auto message = receive<A::Events>(*host_, stream))
      all.insert(all.end(), message->events().begin(), message->events().end());
    EXPECT_TRUE(host_->finish(stream).status.ok());
    return all;
  }
  std::vector<std::string> texts(const std::vector<std::string>& kinds) {
    std::vector<std::string> texts;
    for (const auto& event : events(of_kinds(kinds))) texts.push_back(event.text());
    return texts;
  }
  Status add(const std::string& name, std::uint32_t cid, bool persistent = false) {
    v1::VmAddRequest request;
    request.mutable_record()->set_name(name);
    request.mutable_record()->set_cid(cid);
    request.set_persistent(persistent);
    return call<A::VmAdd>(*host_, request).status;
  }
  Status remove(const std::string& name) {
    v1::VmRemoveRequest request;
    request.set_name(name);
    return call<A::VmRemove>(*host_, request).status;
  }

  const std::unique_ptr<WireClient> host_ = admin();
};

TEST_F(AdminEventsTest, AnActionIsRecordedWithWhoWhatAndHow) {
  EXPECT_TRUE(add("app1", 77).ok());
  EXPECT_FALSE(add("app2", 77).ok());
  EXPECT_TRUE(remove("app1").ok());
  EXPECT_FALSE(remove("app1").ok());
  const auto found = events(of_kinds({"admin"}));
  ASSERT_EQ(found.size(), 4u);
  EXPECT_THAT(found[0].text(), testing::EndsWith(": vm add \"app1\": done"));
  EXPECT_EQ(found[0].vm(), "app1");
  EXPECT_EQ(found[0].uid(), ::getuid());
  EXPECT_THAT(found[0].text(), HasSubstr("uid " + std::to_string(::getuid())));
  EXPECT_THAT(found[1].text(), HasSubstr(": vm add \"app2\": failed: VM \"app2\": CID 77 is taken"));
  EXPECT_THAT(found[3].text(), HasSubstr("failed: no VM \"app1\""));
  EXPECT_THAT(texts({"vm-added", "vm-removed"}),
              ElementsAre(HasSubstr("\"app1\" registered"), HasSubstr("\"app1\" removed")));
  EXPECT_THAT(rig_.log(), HasSubstr(": vm add \"app1\": done")) << "the journal has it, too";
}

TEST_F(AdminEventsTest, WhatFailsLateLeavesNoRegisteredAndNoRemoved) {
  std::filesystem::remove_all(rig_.directory / "state");
  EXPECT_EQ(add("app1", 77, true).code, Code::kUnavailable);
  EXPECT_THAT(texts({"vm-added", "vm-removed"}), testing::IsEmpty());
  EXPECT_THAT(texts({"admin"}), ElementsAre(HasSubstr("vm add \"app1\": failed: VM \"app1\" is not added: ")));
  EXPECT_THAT(rig_.log(), Not(HasSubstr("registered")));
}

TEST_F(AdminEventsTest, AnActionIsRecordedAlsoIfItsCallerHasGone) {
  rig_.write_policy("{");
  {
    const auto other = admin();
    (void)other->start(A::Reload::kFullName, "");
  }
  settle();
  EXPECT_THAT(texts({"admin"}),
              ElementsAre(HasSubstr(": policy reload: failed: the old configuration stays in force")));
}

TEST_F(AdminEventsTest, WhatAnAdministratorWritesToTheStoreIsRecorded) {
  put(*host_, "/vm/web1/x", "1");
  must<v1::Store::Txn>(*host_, test::put_all({"/shared/a", "/shared/b", "/shared/c"}, "1"));
  put(*guest("web1"), "/self/y", "1");
  EXPECT_THAT(texts({"called"}),
              ElementsAre(HasSubstr("called hostcall.v1.Store/Put for \"/vm/web1/x\": OK"),
                          HasSubstr("called hostcall.v1.Store/Txn for \"/shared/a and 2 more\": OK")));
}

TEST_F(AdminEventsTest, FollowsWhatComesAndFiltersIt) {
  auto request = of_kinds({"connected", "admin"}, true);
  request.set_only_new(true);
  request.set_vm("web1");
  const auto stream = start<A::Events>(*host_, request);
  EXPECT_FALSE(receive<A::Events>(*host_, stream));
  const auto web = guest("web1");
  const auto db = guest("db1");
  settle();
  const auto message = receive<A::Events>(*host_, stream);
  ASSERT_TRUE(message);
  ASSERT_EQ(message->events_size(), 1);
  EXPECT_EQ(message->events(0).kind(), "connected");
  EXPECT_EQ(message->events(0).vm(), "web1");
  EXPECT_FALSE(receive<A::Events>(*host_, stream));
  expect_refused(finish<A::Events>(*host_, start<A::Events>(*host_, of_kinds({"nonsense"}))).status,
                 Code::kInvalidArgument, "\"nonsense\" is no kind of events; there are started, ");
}

TEST_F(AdminEventsTest, GoesOnBehindAnEvent) {
  EXPECT_TRUE(add("app1", 77).ok());
  const auto first = events(of_kinds({"vm-added"}));
  ASSERT_EQ(first.size(), 1u);
  EXPECT_TRUE(add("app2", 78).ok());
  auto request = of_kinds({"vm-added"});
  request.set_after(first[0].number());
  const auto rest = events(request);
  ASSERT_EQ(rest.size(), 1u);
  EXPECT_EQ(rest[0].vm(), "app2");
}

// It takes nothing while more is recorded than is kept, and other calls go on.
TEST_F(AdminEventsTest, ASlowReaderIsToldHowMuchItHasLost) {
  const auto slow = admin();
  slow->hello();
  const auto floods = flood(*slow);
  const auto stream =
      slow->start(A::Events::kFullName, of_kinds({}, true).SerializeAsString(), wire::Shape::kServerStream);
  settle();
  constexpr std::size_t kMany = 3 * Events::kMaxRecords;
  for (std::size_t i = 0; i < kMany; ++i)
    rig_.journal.write(Level::kDebug, MessageId::kViolation, "violation " + std::to_string(i));
  (void)rig_.log();
  settle();
  EXPECT_TRUE(add("app1", 77).ok());
  for (const auto source : floods) slow->cancel(source);
  std::uint64_t lost = 0, seen = 0;
  std::string last;
  while (const auto message = receive<A::Events>(*slow, stream)) {
    lost += message->lost();
    for (const auto& event : message->events())
      if (event.kind() == "violation") {
        ++seen;
        last = event.text();
      }
  }
  EXPECT_GE(lost, kMany - Events::kMaxRecords);
  EXPECT_EQ(seen + lost, kMany);
  EXPECT_EQ(last, "violation " + std::to_string(kMany - 1));
}

TEST_F(AdminEventsTest, GuestTextIsEscaped) {
  const auto web = guest("web1");
  policy(R"({"vms": ["*"], "calls": ["hostcall.v1.Diagnostics/*"], "action": "allow"})");
  expect_refused(call<v1::Store::Get>(*web, test::get_request("/self/\xe2\x80\xae")).status, Code::kPermissionDenied,
                 "");
  const auto found = events(of_kinds({"denied"}));
  ASSERT_EQ(found.size(), 1u);
  EXPECT_THAT(found[0].text(), HasSubstr("\\xe2\\x80\\xae"));
  EXPECT_THAT(found[0].text(), Not(HasSubstr("\xe2\x80\xae")));
}

// ---------------------------------------------------------------- vm set

class VmSetTest : public AdminEventsTest {
 protected:
  Status set(const v1::VmSetRequest& request) { return call<A::VmSet>(*host_, request).status; }
  static v1::VmSetRequest of(const std::string& name) {
    v1::VmSetRequest request;
    request.set_name(name);
    return request;
  }
  static v1::VmSetRequest limit(const std::string& name, const std::string& limit, std::uint64_t value) {
    auto request = of(name);
    auto& one = *request.add_limits();
    one.set_name(limit);
    one.set_value(value);
    return request;
  }
  void add_app(bool persistent = false) {
    v1::VmAddRequest request;
    request.mutable_record()->set_name("app1");
    request.mutable_record()->set_unix_path(rig_.path_of("app1"));
    request.mutable_record()->add_tags("old");
    request.set_persistent(persistent);
    must<A::VmAdd>(*host_, request);
  }
};

TEST_F(VmSetTest, ChangesTagsAndLimitsWhileSessionsGoOn) {
  add_app();
  const auto registration = rig_.vm("app1").registration;
  const auto app = guest("app1");
  auto request = limit("app1", "streams", 3);
  request.add_add_tags("new");
  request.add_add_tags("new");
  request.add_remove_tags("old");
  const auto changed = must<A::VmSet>(*host_, request).vm();
  EXPECT_THAT(changed.record().tags(), ElementsAre("new"));
  EXPECT_EQ(rig_.vm("app1").quota.limits().streams, 3u);
  EXPECT_EQ(rig_.vm("app1").registration, registration);
  EXPECT_TRUE(call<v1::Session::Ping>(*app).status.ok());
  auto back = of("app1");
  back.add_reset_limits("streams");
  EXPECT_TRUE(set(back).ok());
  EXPECT_EQ(rig_.vm("app1").quota.limits().streams, Limits{}.streams);
  EXPECT_THAT(texts({"vm-changed"}), ElementsAre("VM \"app1\" changed: tags new; own limits streams=3",
                                                 "VM \"app1\" changed: tags new; own limits -"));
  EXPECT_THAT(texts({"admin"}).back(), HasSubstr("vm set \"app1\" --reset-limit streams: done"));
}

TEST_F(VmSetTest, OtherTagsAreDecidedAgainForOpenCalls) {
  policy(R"({"vms": ["tag:old"], "calls": ["*"], "action": "allow"})");
  add_app();
  const auto app = guest("app1");
  v1::WatchRequest watch;
  watch.set_prefix("/self/");
  const auto stream = start<v1::Store::Watch>(*app, watch);
  ASSERT_TRUE(receive<v1::Store::Watch>(*app, stream));
  auto request = of("app1");
  request.add_remove_tags("old");
  EXPECT_TRUE(set(request).ok());
  settle();
  expect_refused(app->finish(stream).status, Code::kPermissionDenied, "app1");
  expect_refused(call<v1::Session::Ping>(*app).status, Code::kPermissionDenied, "app1");
  auto again = of("app1");
  again.add_add_tags("old");
  EXPECT_TRUE(set(again).ok());
  EXPECT_TRUE(call<v1::Session::Ping>(*app).status.ok());
}

TEST_F(VmSetTest, ALimitBelowTheUseOnlyBarsWhatIsNew) {
  add_app();
  const auto app = guest("app1");
  v1::WatchRequest watch;
  watch.set_prefix("/self/");
  std::vector<std::uint32_t> watches;
  for (int i = 0; i < 4; ++i) watches.push_back(start<v1::Store::Watch>(*app, watch));
  EXPECT_TRUE(set(limit("app1", "streams", 2)).ok());
  EXPECT_TRUE(set(limit("app1", "store_watches", 1)).ok());
  EXPECT_TRUE(set(limit("app1", "connections", 1)).ok());
  expect_refused(call<v1::Session::Ping>(*app).status, Code::kResourceExhausted, "streams (2)");
  put(*host_, "/vm/app1/x", "1");
  for (const auto open : watches) EXPECT_TRUE(receive<v1::Store::Watch>(*app, open));
  for (const auto open : watches) app->cancel(open);
  settle();
  EXPECT_TRUE(call<v1::Session::Ping>(*app).status.ok());
}

TEST_F(VmSetTest, RefusesWhatCanNotBe) {
  add_app();
  auto unknown = of("nobody");
  expect_refused(set(unknown), Code::kNotFound, "nobody");
  auto of_file = of("web1");
  of_file.add_add_tags("x");
  expect_refused(set(of_file), Code::kFailedPrecondition, "vms.d/50-test.json:2; change it there");
  auto no_tag = of("app1");
  no_tag.add_remove_tags("absent");
  expect_refused(set(no_tag), Code::kInvalidArgument, "has no tag \"absent\"");
  auto bad_tag = of("app1");
  bad_tag.add_add_tags("No Tag");
  expect_refused(set(bad_tag), Code::kInvalidArgument, "No Tag");
  expect_refused(set(limit("app1", "nonsense", 1)), Code::kInvalidArgument, "nonsense");
  auto no_limit = of("app1");
  no_limit.add_reset_limits("streams");
  expect_refused(set(no_limit), Code::kInvalidArgument, "no value of its own");
  EXPECT_THAT(rig_.vm("app1").record.tags, ElementsAre("old"));
  EXPECT_THAT(texts({"vm-changed"}), testing::IsEmpty());
}

TEST_F(VmSetTest, IsKeptAsTheRecordIs) {
  for (const bool persistent : {false, true}) {
    add_app(persistent);
    auto request = limit("app1", "streams", 9);
    request.add_add_tags("new");
    EXPECT_TRUE(set(request).ok());
    const auto registration = rig_.vm("app1").registration;
    const Registry again(registry_paths(rig_.config), rig_.config.limits);
    const auto vm = again.find("app1");
    ASSERT_NE(vm, nullptr);
    EXPECT_THAT(vm->record.tags, ElementsAre("old", "new"));
    EXPECT_EQ(vm->quota.limits().streams, 9u);
    EXPECT_EQ(vm->registration, registration);
    EXPECT_TRUE(remove("app1").ok());
  }
}

TEST_F(VmSetTest, WhatCanNotBeKeptIsNotChanged) {
  add_app(true);
  std::filesystem::rename(rig_.directory / "state", rig_.directory / "away");
  auto request = of("app1");
  request.add_add_tags("new");
  expect_refused(set(request), Code::kUnavailable, "VM \"app1\" is not changed: ");
  EXPECT_THAT(rig_.vm("app1").record.tags, ElementsAre("old"));
  std::filesystem::rename(rig_.directory / "away", rig_.directory / "state");
  EXPECT_TRUE(set(request).ok());
}

// A record that comes back would register the VM at the next start.
TEST_F(VmSetTest, NoTwoChangesOfARecordAreOnTheirWayToTheDisk) {
  add_app(true);
  auto request = of("app1");
  request.add_add_tags("new");
  v1::VmRemoveRequest removal;
  removal.set_name("app1");
  const auto first = host_->start(A::VmSet::kFullName, request.SerializeAsString());
  const auto second = host_->start(A::VmSet::kFullName, request.SerializeAsString());
  const auto third = host_->start(A::VmRemove::kFullName, removal.SerializeAsString());
  settle();
  EXPECT_TRUE(host_->finish(first).status.ok());
  expect_refused(host_->finish(second).status, Code::kUnavailable, "on its way to the disk; try again");
  expect_refused(host_->finish(third).status, Code::kUnavailable, "on its way to the disk; try again");
  EXPECT_TRUE(remove("app1").ok());
  EXPECT_FALSE(std::filesystem::exists(rig_.directory / "state/vms/app1.json"));
}

// ---------------------------------------------------------------- status

TEST_F(AdminEventsTest, StatusTellsWhatIsMissing) {
  const auto web = guest("web1");
  auto status = must<A::Status>(*host_);
  EXPECT_EQ(status.version(), HOSTCALL_VERSION);
  EXPECT_EQ(status.vms(), 2u);
  EXPECT_EQ(status.vms_connected(), 1u);
  EXPECT_EQ(status.administrators(), 1u);
  EXPECT_EQ(status.vm_sockets(), 2u);
  EXPECT_THAT(status.listeners(), ElementsAre(testing::StartsWith("unix:")));
  EXPECT_THAT(status.missing(), testing::IsEmpty());
  EXPECT_FALSE(status.has_reload());
  EXPECT_TRUE(add("app1", 77).ok());
  rig_.write_policy("{");
  EXPECT_FALSE(rig_.reload().ok());
  advance(seconds(90));
  status = must<A::Status>(*host_);
  EXPECT_THAT(status.missing(), ElementsAre(HasSubstr("1 VM with a CID can't call: nothing listens on vsock; start")));
  EXPECT_THAT(status.reload().failure(), HasSubstr("50-test.json:1"));
  EXPECT_EQ(nanoseconds(status.uptime_nano()), seconds(90));
  rig_.write_policy(R"({"rules": [{"vms": ["nobody"], "calls": ["*"], "action": "allow"}]})");
  EXPECT_TRUE(rig_.reload().ok());
  status = must<A::Status>(*host_);
  EXPECT_EQ(status.reload().failure(), "");
  EXPECT_THAT(status.warnings(), ElementsAre(HasSubstr("nobody")));
}

}  // namespace
}  // namespace hostcall::daemon
