// Watches: what they tell and when, by a time that the test moves, and how each ends.
#include "daemon/services/store_watch.h"

#include "tests/unit/daemon/services/scripted_engine.h"
#include "tests/unit/daemon/services/store_watch_fixture.h"

namespace hostcall::daemon {
namespace {

using test::delete_request;
using test::keys_of;
using test::put_all;
using test::snapshot_request;
using test::watch_request;
using v1::Store::Txn;
using v1::Store::Watch;

constexpr Duration kTick = milliseconds(1);

class StoreWatchTest : public test::StoreWatchFixture {};

// ---------------------------------------------------------------- what it tells

TEST_F(StoreWatchTest, TellsAllChangesOfARevisionInOneMessage) {
  const auto caller = guest("web1"), writer = guest("web1"), plain = peer("web1");
  put(*writer, "/self/a/before", "");
  const auto stream = start<Watch>(*caller, watch_request("/self/a/")),
             plain_stream = start<Watch>(*plain, watch_request("/self/a/"));
  for (const auto& [who, its] : {std::pair(caller.get(), stream), std::pair(plain.get(), plain_stream)}) {
    const auto greeting = next(*who, its);
    EXPECT_EQ(greeting.revision(), 1);
    EXPECT_EQ(greeting.events_size(), 0);
  }
  must<Txn>(*writer, put_all({"/self/a/2", "/self/b", "/self/a/1"}, "v"));
  put(*writer, "/self/elsewhere", "");
  must<v1::Store::Delete>(*writer, delete_request("/self/a/1"));
  for (const auto& [who, its] : {std::pair(caller.get(), stream), std::pair(plain.get(), plain_stream)}) {
    auto message = next(*who, its);
    EXPECT_EQ(message.revision(), 2);
    EXPECT_THAT(keys_of(message), testing::ElementsAre("/self/a/1", "/self/a/2"));
    EXPECT_EQ(message.events(0).kind(), v1::Event::KIND_PUT);
    EXPECT_EQ(message.events(0).item().value(), "v");
    EXPECT_FALSE(message.events(0).has_previous());
    message = next(*who, its);
    EXPECT_EQ(message.revision(), 4);
    EXPECT_EQ(message.events(0).kind(), v1::Event::KIND_DELETE);
    EXPECT_EQ(message.events(0).item().mod_revision(), 4);
    EXPECT_TRUE(is_quiet(*who));
  }
}

TEST_F(StoreWatchTest, TellsWhatWasBeforeIfAsked) {
  const auto caller = guest("web1"), writer = guest("web1");
  auto request = watch_request("/self/k");
  request.set_previous(true);
  const auto stream = watch(*caller, request);
  put(*writer, "/self/k", "1");
  put(*writer, "/self/k", "2");
  EXPECT_FALSE(next(*caller, stream).events(0).has_previous());
  EXPECT_EQ(next(*caller, stream).events(0).previous().value(), "1");
}

TEST_F(StoreWatchTest, GoesOnWhereItWas) {
  const auto caller = guest("web1"), writer = guest("web1");
  for (const auto* value : {"1", "2", "3"}) put(*writer, "/self/k", value);
  const auto stream = start<Watch>(*caller, watch_request("/self/", 2));
  EXPECT_EQ(next(*caller, stream).revision(), 1) << "where the caller is";
  EXPECT_EQ(next(*caller, stream).events(0).item().value(), "2");
  EXPECT_EQ(next(*caller, stream).events(0).item().value(), "3");
  put(*writer, "/self/k", "4");
  EXPECT_EQ(next(*caller, stream).events(0).item().value(), "4");
  EXPECT_EQ(next(*caller, start<Watch>(*caller, watch_request("/self/", 5))).revision(), 4) << "the next one";
  expect_refused(call<Watch>(*caller, watch_request("/self/", 6)).status, Code::kFailedPrecondition,
                 "from_revision 6 is in the future: the store is at 4");
  EXPECT_EQ(used("web1", Resource::kWatches), 2u) << "the refused one takes no place";
}

TEST_F(StoreWatchTest, SeesKeysGoWithTheirSession) {
  const auto caller = guest("web1");
  auto writer = guest("web1");
  put(*writer, "/self/k", "", v1::LIFETIME_SESSION);
  const auto stream = watch(*caller, watch_request("/self/"));
  writer.reset();
  settle();
  const auto message = next(*caller, stream);
  EXPECT_EQ(message.events(0).kind(), v1::Event::KIND_DELETE);
  EXPECT_EQ(message.events(0).item().key(), "/self/k");
}

TEST_F(StoreWatchTest, LeavesOutWhatPolicyDenies) {
  const auto caller = peer("web1"), host = admin();
  put(*host, "/vm/web1/open", "1");
  put(*host, "/vm/web1/closed", "1");
  policy(
      R"({"vms": ["*"], "calls": ["hostcall.v1.Store/Watch"], "resources": ["/self/", "/self/open"], "action": "allow"})");
  expect_refused(call<Watch>(*caller, watch_request("/shared/")).status, Code::kPermissionDenied, "/shared/");
  const auto stream = start<Watch>(*caller, snapshot_request("/self/"));
  EXPECT_THAT(keys_of(next(*caller, stream)), testing::ElementsAre("/self/open"));
  put(*host, "/vm/web1/closed", "2");
  EXPECT_TRUE(is_quiet(*caller));
  must<Txn>(*host, put_all({"/vm/web1/closed", "/vm/web1/open"}, "3"));
  EXPECT_THAT(keys_of(next(*caller, stream)), testing::ElementsAre("/self/open"));
  policy("");
  put(*host, "/vm/web1/open", "4");
  EXPECT_TRUE(is_quiet(*caller)) << "the policy in force decides";
}

// ---------------------------------------------------------------- progress

TEST_F(StoreWatchTest, TellsItsProgressWhileNothingElseComes) {
  const auto caller = peer("web1"), host = admin();
  auto request = watch_request("/self/");
  request.set_progress_interval_ms(100);
  const auto stream = watch(*caller, request);
  put(*host, "/shared/k", "is not watched");
  advance(milliseconds(100) - kTick);
  EXPECT_TRUE(is_quiet(*caller));
  advance(kTick);
  auto message = next(*caller, stream);
  EXPECT_EQ(message.revision(), 1);
  EXPECT_EQ(message.events_size(), 0);
  advance(milliseconds(60));
  put(*host, "/vm/web1/k", "is");
  EXPECT_EQ(next(*caller, stream).events_size(), 1);
  advance(milliseconds(100) - kTick);
  EXPECT_TRUE(is_quiet(*caller)) << "since the last message";
  advance(kTick);
  EXPECT_EQ(next(*caller, stream).revision(), 2);
  EXPECT_TRUE(is_quiet(*caller));
}

TEST_F(StoreWatchTest, TellsNoProgressWhileSomethingWaits) {
  const auto caller = guest("web1"), host = admin();
  auto request = watch_request("/self/");
  request.set_progress_interval_ms(1000);
  const auto stream = watch(*caller, request);
  fill_window(*host, "/vm/web1/k");
  while (caller->pump()) {
  }
  advance(seconds(3));
  EXPECT_TRUE(is_quiet(*caller));
  for (std::int64_t revision = 1; revision <= 8; ++revision) {
    const auto message = next(*caller, stream);
    EXPECT_EQ(message.revision(), revision);
    EXPECT_EQ(message.events_size(), 1);
  }
  EXPECT_TRUE(is_quiet(*caller));
  advance(seconds(1));
  EXPECT_EQ(next(*caller, stream).events_size(), 0);
}

// ---------------------------------------------------------------- the end

TEST_F(StoreWatchTest, EndsWhenTheDaemonStops) {
  const auto caller = guest("web1");
  const auto stream = watch(*caller, watch_request("/self/"));
  rig_.server.shut_down();
  settle();
  expect_over(*caller, stream, Code::kUnavailable, "hostcalld is stopping; watch again from the next revision");
  EXPECT_TRUE(caller->wait_for_close());
}

TEST_F(StoreWatchTest, EndsAtItsDeadline) {
  const auto caller = peer("web1");
  const auto stream = start<Watch>(*caller, watch_request("/self/"), seconds(90));
  next(*caller, stream);
  advance(seconds(90));
  expect_over(*caller, stream, Code::kDeadlineExceeded, "deadline");
}

// A watch that has what the test says.
class ScriptedWatch final : public store::Watch {
 public:
  explicit ScriptedWatch(const store::Delivery& delivery) : delivery_(delivery) {}
  store::Delivery next(std::size_t) override { return delivery_; }
  void taken() override {}
  std::size_t take_looked_at() override { return 0; }
  std::optional<store::WatchPlace> place() const override { return std::nullopt; }

 private:
  const store::Delivery& delivery_;
};

class CompactedWatchTest : public test::ServicesFixture {
 protected:
  CompactedWatchTest() { serve(engine_); }
  test::ScriptedEngine engine_;
  store::Delivery delivery_;
};

TEST_F(CompactedWatchTest, ItsLastMessageWaitsForRoom) {
  engine_.next_watch = std::make_unique<ScriptedWatch>(delivery_);
  const auto caller = guest("web1");
  const auto stream = start<Watch>(*caller, watch_request("/self/"));
  ASSERT_TRUE(receive<Watch>(*caller, stream)) << "the greeting";
  const auto floods = flood(*caller);
  delivery_ = {.kind = store::Delivery::Kind::kCompacted, .compact_revision = 9};
  engine_.watching->on_ready();
  EXPECT_TRUE(is_quiet(*caller));
  EXPECT_EQ(used("web1", Resource::kWatches), 1u) << "it has not ended without its last message";
  for (const auto source : floods) caller->cancel(source);
  settle();
  const auto message = receive<Watch>(*caller, stream);
  ASSERT_TRUE(message);
  EXPECT_EQ(message->compact_revision(), 9);
  expect_refused(finish<Watch>(*caller, stream).status, Code::kOutOfRange, "the changes up to revision 9");
  EXPECT_EQ(used("web1", Resource::kWatches), 0u);
}

// ---------------------------------------------------------------- many rules

// So many rules for each key that a message can show one key only.
class ManyRulesTest : public StoreWatchTest {
 protected:
  ManyRulesTest() {
    std::string rules;
    for (int i = 0; i < 1100; ++i)
      rules += R"({"vms": ["*"], "calls": ["hostcall.v1.Store/Watch"], "resources": ["/self/**x"], "action": "deny"},)";
    policy(rules + R"({"vms": ["*"], "calls": ["*"], "action": "allow"})");
  }
  const std::unique_ptr<test::WireClient> caller_ = guest("web1");
};

TEST_F(ManyRulesTest, ASnapshotComesInSmallParts) {
  for (const auto* key : {"/self/a", "/self/bx", "/self/c", "/self/d"}) put(*caller_, key, "1");
  const auto stream = start<Watch>(*caller_, test::snapshot_request("/self/"));
  for (const auto* key : {"/self/a", "/self/c", "/self/d"}) {
    const auto part = next(*caller_, stream);
    EXPECT_EQ(keys_of(part), std::vector<std::string>{key});
    EXPECT_EQ(part.snapshot_complete(), key == std::string("/self/d"));
    EXPECT_EQ(part.revision() != 0, part.snapshot_complete());
  }
  put(*caller_, "/self/a", "2");
  EXPECT_EQ(keys_of(next(*caller_, stream)), std::vector<std::string>{"/self/a"});
}

TEST_F(ManyRulesTest, WhatACoalescingWatchCatchesUpWithTo) {
  const auto host = admin();
  for (int i = 0; i < 1500; ++i) put(*host, "/vm/web1/k" + std::to_string(i % 5), std::to_string(i));
  const auto stream = watch(*caller_, watch_request("/self/", 1));
  std::vector<std::string> keys;
  for (bool over = false; !over;) {
    const auto part = next(*caller_, stream);
    ASSERT_EQ(part.events_size(), 1);
    EXPECT_TRUE(part.coalesced());
    keys.push_back(part.events(0).item().key());
    over = part.revision() != 0;
  }
  EXPECT_EQ(keys, (std::vector<std::string>{"/self/k0", "/self/k1", "/self/k2", "/self/k3", "/self/k4"}));
}

// ---------------------------------------------------------------- policy changes

class ReviewedWatchTest : public StoreWatchTest {
 protected:
  void reload(const std::string& rules) {
    rig_.write_policy(R"({"rules": [)" + rules + "]}");
    ASSERT_TRUE(rig_.reload().ok());
    settle();
  }
  static constexpr char kAllow[] = R"({"vms": ["*"], "calls": ["*"], "action": "allow"})";
  static constexpr char kDenyShared[] =
      R"({"vms": ["web1"], "calls": ["hostcall.v1.Store/Watch"], "resources": ["/shared/**"], "action": "deny"},)";
};

TEST_F(ReviewedWatchTest, EndsWhatPolicyDeniesNow) {
  const auto web = guest("web1"), db = guest("db1");
  const auto shared = watch(*web, watch_request("/shared/")), own = watch(*web, watch_request("/self/")),
             of_db = watch(*db, watch_request("/shared/"));
  reload(kAllow);
  put(*db, "/shared/a", "1");
  EXPECT_EQ(next(*web, shared).events_size(), 1) << "still allowed";
  reload(std::string(kDenyShared) + kAllow);
  const auto ended = finish<v1::Store::Watch>(*web, shared).status;
  expect_refused(ended, Code::kPermissionDenied,
                 "VM \"web1\": hostcall.v1.Store/Watch on \"/shared/\" is denied by 50-test.json:1");
  EXPECT_THAT(rig_.log(), testing::HasSubstr("is denied by " + rig_.directory / "policy.d/50-test.json:1"));
  EXPECT_EQ(rig_.vm("web1").counts.denied, 1u);
  put(*db, "/shared/a", "2");
  put(*web, "/self/a", "1");
  EXPECT_EQ(keys_of(next(*web, own)), std::vector<std::string>{"/self/a"}) << "another watch goes on";
  EXPECT_EQ(next(*db, of_db).events_size(), 1) << "and another VM's";
}

TEST_F(ReviewedWatchTest, NoneOutlivesADenialThatIsTakenBackAtOnce) {
  const auto web = guest("web1");
  const auto stream = watch(*web, watch_request("/shared/"));
  rig_.write_policy(R"({"rules": [)" + std::string(kDenyShared) + kAllow + "]}");
  ASSERT_TRUE(rig_.reload().ok());
  rig_.write_policy(R"({"rules": [)" + std::string(kAllow) + "]}");
  ASSERT_TRUE(rig_.reload().ok());
  settle();
  EXPECT_EQ(finish<v1::Store::Watch>(*web, stream).status.code, Code::kPermissionDenied);
}

}  // namespace
}  // namespace hostcall::daemon
