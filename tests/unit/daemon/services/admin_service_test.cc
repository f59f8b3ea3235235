// Administration of the daemon: policy, reload, sessions, counters.
#include "daemon/services/admin_service.h"

#include <algorithm>
#include <map>

#include "hostcall/v1/admin.hostcall.h"
#include "hostcall/v1/diagnostics.hostcall.h"
#include "hostcall/v1/host.hostcall.h"
#include "hostcall/v1/session.hostcall.h"
#include "tests/unit/daemon/services/scripted_engine.h"
#include "tests/unit/daemon/services/store_fixture.h"

namespace hostcall::daemon {
namespace {

using test::WireClient;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using v1::Admin::PolicyCheck;
using v1::Admin::PolicyExplain;
using v1::Admin::Reload;
using v1::Admin::SessionClose;
using v1::Admin::SessionList;

constexpr char kAllowAll[] = R"({"rules": [{"vms": ["*"], "calls": ["*"], "action": "allow"}]})";

class AdminServiceTest : public test::StoreServiceFixture {
 protected:
  std::vector<v1::SessionState> sessions(const std::string& vm = {}) {
    v1::SessionListRequest request;
    request.set_vm(vm);
    const auto list = must<SessionList>(*host_, request);
    return {list.sessions().begin(), list.sessions().end()};
  }
  Status close(std::uint64_t id) {
    v1::SessionCloseRequest request;
    request.set_id(id);
    return call<SessionClose>(*host_, request).status;
  }
  const std::unique_ptr<WireClient> host_ = admin();
};

TEST_F(AdminServiceTest, IsNotForGuests) {
  const auto caller = guest("web1");
  for (const auto* method : v1::Admin::kAllMethods)
    EXPECT_EQ(caller->call(method).status.code, Code::kUnimplemented) << method;
}

// ---------------------------------------------------------------- policy

TEST_F(AdminServiceTest, ChecksPolicyWithoutUsingIt) {
  v1::PolicyCheckRequest request;
  for (const auto* name : {"a.json", "b.json"}) {
    auto& file = *request.add_files();
    file.set_name(name);
    file.set_content(R"({"rules": [{"vms": ["*"], "calls": ["*"], "action": "deny"}]})");
  }
  auto response = must<PolicyCheck>(*host_, request);
  EXPECT_EQ(response.files(), 2u);
  EXPECT_EQ(response.rules(), 2u);
  EXPECT_TRUE(call<v1::Session::Ping>(*guest("web1")).status.ok());
  request.mutable_files(1)->set_name("b\n.json");
  request.mutable_files(1)->set_content("{\"rules\": [\n{\"vms\": [\"*\"]}]}");
  expect_refused(call<PolicyCheck>(*host_, request).status, Code::kInvalidArgument, "b\\x0a.json:2: ");
}

TEST_F(AdminServiceTest, ChecksWhatIsOnDiskWhenNothingIsGiven) {
  rig_.directory.write("policy.d/60-more.json", kAllowAll);
  const auto response = must<PolicyCheck>(*host_);
  EXPECT_EQ(response.files(), 2u);
  EXPECT_EQ(response.rules(), 2u);
  rig_.write_policy("{\"rules\": [\n1]}");
  expect_refused(call<PolicyCheck>(*host_).status, Code::kInvalidArgument,
                 rig_.directory / "policy.d/50-test.json:2: ");
}

TEST_F(AdminServiceTest, ExplainsWhatPolicyDecides) {
  policy(R"({"vms": ["db1"], "calls": ["*"], "action": "deny"},
            {"vms": ["*"], "calls": ["hostcall.v1.Store/Get"], "resources": ["/self/**"], "action": "allow", "rate": 2},
            {"vms": ["*"], "calls": ["hostcall.v1.Host/Info"], "require": ["privileged-port"], "action": "allow"})");
  v1::PolicyExplainRequest request;
  const auto explain = [&](const char* vm, const char* method, const char* resource) {
    request.set_vm(vm);
    request.set_method(method);
    request.set_resource(resource);
    return must<PolicyExplain>(*host_, request);
  };
  auto verdict = explain("db1", "hostcall.v1.Host/Info", "");
  EXPECT_FALSE(verdict.allowed());
  EXPECT_THAT(verdict.file(), HasSubstr("50-test.json"));
  EXPECT_EQ(verdict.line(), 1u);
  EXPECT_THAT(verdict.text(), HasSubstr("VM \"db1\": hostcall.v1.Host/Info is denied by policy.d/50-test.json:1"));
  verdict = explain("web1", "hostcall.v1.Store/Get", "/self/k");
  EXPECT_TRUE(verdict.allowed());
  EXPECT_EQ(verdict.line(), 2u);
  EXPECT_THAT(verdict.text(), HasSubstr("at most 2 calls/s"));
  verdict = explain("web1", "hostcall.v1.Store/Get", "/shared/k");
  EXPECT_FALSE(verdict.allowed());
  EXPECT_EQ(verdict.file(), "");
  EXPECT_EQ(verdict.line(), 0u);
  EXPECT_THAT(verdict.text(), HasSubstr("no rule matches"));
  EXPECT_EQ(call<v1::Store::Get>(*peer("web1"), test::get_request("/shared/k")).status.message, verdict.text())
      << "the guest sees the same";
  EXPECT_THAT(explain("web1", "hostcall.v1.Host/Info", "").text(), HasSubstr("--privileged-port"));
  request.set_privileged_port(true);
  EXPECT_TRUE(explain("web1", "hostcall.v1.Host/Info", "").allowed());
}

TEST_F(AdminServiceTest, ExplainsOnlyWhatThereIs) {
  v1::PolicyExplainRequest request;
  request.set_vm("nobody");
  request.set_method("hostcall.v1.Host/Info");
  expect_refused(call<PolicyExplain>(*host_, request).status, Code::kNotFound, "no VM is named \"nobody\"");
  request.set_vm("web1");
  for (const auto* method : {"hostcall.v1.Host/Nope", "", "hostcall.v1.Admin/Reload", "Host\n"}) {
    request.set_method(method);
    expect_refused(call<PolicyExplain>(*host_, request).status, Code::kUnimplemented, "guests can't call \"");
  }
}

// ---------------------------------------------------------------- reload

TEST_F(AdminServiceTest, ReloadsAllFiles) {
  const auto caller = guest("web1");
  rig_.write_vms(R"({"vms": [{"name": "web1", "unix_path": ")" + rig_.path_of("web1") +
                 R"("}, {"name": "new1", "unix_path": ")" + rig_.path_of("new1") +
                 R"("}, {"name": "cid1", "cid": 99}]})");
  rig_.write_policy(R"({"rules": [{"vms": ["new1"], "calls": ["*"], "action": "allow"},
                                  {"vms": ["*"], "calls": ["hostcall.v1.Session/*"], "action": "allow"}]})");
  const auto response = must<Reload>(*host_);
  EXPECT_EQ(response.vms(), 3u);
  EXPECT_EQ(response.rules(), 2u);
  EXPECT_EQ(rig_.stats.reloads, 1u);
  EXPECT_TRUE(call<v1::Host::Info>(*guest("new1")).status.ok());
  EXPECT_EQ(call<v1::Host::Info>(*caller).status.code, Code::kPermissionDenied);
  EXPECT_THROW(guest("db1"), std::runtime_error);
}

TEST_F(AdminServiceTest, AReloadThatFailsChangesNothing) {
  rig_.write_vms(R"({"vms": [{"name": "new1", "cid": 99}]})");
  rig_.write_policy("{\"rules\": [\n1]}");
  expect_refused(call<Reload>(*host_).status, Code::kFailedPrecondition,
                 "the old configuration stays in force: " + rig_.directory / "policy.d/50-test.json:2: ");
  EXPECT_EQ(rig_.stats.reloads_failed, 1u);
  EXPECT_EQ(rig_.registry.find("new1"), nullptr);
  EXPECT_TRUE(call<v1::Session::Ping>(*guest("db1")).status.ok());
}

// ---------------------------------------------------------------- sessions

TEST_F(AdminServiceTest, ListsSessionsWithTheirTimes) {
  const auto caller = guest("web1"), plain = peer("db1");
  advance(seconds(2));
  must<v1::Session::Ping>(*caller);
  start<v1::Diagnostics::EchoStream>(*caller);
  advance(seconds(1));
  const auto all = sessions();
  ASSERT_EQ(all.size(), 3u);
  std::vector<std::uint64_t> ids;
  std::uint64_t bytes_in = 0;
  for (const auto& session : all) {
    ids.push_back(session.id());
    bytes_in += session.bytes_in();
  }
  EXPECT_THAT(ids, ElementsAre(1u, 2u, 3u));
  EXPECT_EQ(bytes_in, rig_.stats.bytes_in);
  EXPECT_EQ(all[0].vm(), "@admin");
  EXPECT_EQ(all[0].calls(), 1u);
  EXPECT_EQ(all[0].idle_nano(), 0u);
  EXPECT_EQ(all[0].client(), "");
  EXPECT_EQ(all[1].vm(), "web1");
  EXPECT_EQ(all[1].client(), "wire-client 1");
  EXPECT_EQ(all[1].peer(), "unix:" + rig_.path_of("web1") + " (uid " + std::to_string(::getuid()) + ")");
  EXPECT_EQ(all[1].age_nano(), 3'000'000'000u);
  EXPECT_EQ(all[1].idle_nano(), 1'000'000'000u);
  EXPECT_EQ(all[1].calls(), 3u);
  EXPECT_EQ(all[1].streams(), 1u);
  EXPECT_GT(all[1].bytes_out(), 0u);
  EXPECT_EQ(all[2].bytes_out(), 0u);
  const auto of_db = sessions("db1");
  ASSERT_EQ(of_db.size(), 1u);
  EXPECT_EQ(of_db[0].id(), 3u);
  v1::SessionListRequest request;
  request.set_vm("nobody");
  expect_refused(call<SessionList>(*host_, request).status, Code::kNotFound, "no VM is named \"nobody\"");
}

TEST_F(AdminServiceTest, ClosesASession) {
  const auto caller = guest("web1"), other = guest("web1");
  const auto stream = start<v1::Diagnostics::EchoStream>(*caller);
  EXPECT_TRUE(close(2).ok());
  expect_refused(finish<v1::Diagnostics::EchoStream>(*caller, stream).status, Code::kUnavailable,
                 "an administrator closed the session");
  EXPECT_TRUE(caller->wait_for_close());
  EXPECT_EQ(caller->goaway_reason(), wire::GoawayReason::kRemoved);
  EXPECT_TRUE(call<v1::Session::Ping>(*other).status.ok());
  expect_refused(close(99), Code::kNotFound, "no session 99");
  advance(seconds(1));
  EXPECT_EQ(close(2).code, Code::kNotFound);
}

TEST_F(AdminServiceTest, MayCloseItsOwnSession) {
  EXPECT_TRUE(close(1).ok()) << "the answer still comes";
  EXPECT_TRUE(host_->wait_for_close());
}

// ---------------------------------------------------------------- counters

class AdminStatsTest : public test::ServicesFixture {
 protected:
  AdminStatsTest() { serve(engine_); }
  test::ScriptedEngine engine_;
};

TEST_F(AdminStatsTest, TellsAllCounters) {
  engine_.told_stats = {.keys = 1,
                        .bytes = 2,
                        .revision = 3,
                        .compact_revision = 4,
                        .commits = 5,
                        .transactions = 6,
                        .watches = 7,
                        .history_events = 8,
                        .queue = 9};
  const auto host = admin(), caller = peer("web1");
  must<v1::Session::Ping>(*caller);
  rig_.stats.calls_denied = 11;
  rig_.stats.calls_limited = 12;
  rig_.stats.calls_timed_out = 13;
  rig_.stats.violations = 14;
  rig_.stats.heartbeats_lost = 15;
  rig_.stats.connections_refused = 16;
  rig_.stats.reloads = 17;
  rig_.stats.reloads_failed = 18;
  const auto response = must<v1::Admin::Stats>(*host);
  std::vector<std::pair<std::string, std::uint64_t>> counters;
  for (const auto& counter : response.counters()) counters.emplace_back(counter.name(), counter.value());
  EXPECT_TRUE(std::ranges::is_sorted(counters));
  std::map<std::string, std::uint64_t> by_name(counters.begin(), counters.end());
  EXPECT_EQ(by_name.size(), counters.size());
  EXPECT_EQ(by_name.extract("bytes_in").mapped(), rig_.stats.bytes_in);
  EXPECT_GT(by_name.extract("bytes_out").mapped(), 0u);
  EXPECT_EQ(by_name, (std::map<std::string, std::uint64_t>{{"calls", 2},
                                                           {"calls_denied", 11},
                                                           {"calls_limited", 12},
                                                           {"calls_timed_out", 13},
                                                           {"connections_accepted", 2},
                                                           {"connections_open", 2},
                                                           {"connections_refused", 16},
                                                           {"heartbeats_lost", 15},
                                                           {"journal_records_lost", 0},
                                                           {"policy_rules", 1},
                                                           {"reloads", 17},
                                                           {"reloads_failed", 18},
                                                           {"store_bytes", 2},
                                                           {"store_commits", 5},
                                                           {"store_compact_revision", 4},
                                                           {"store_history_events", 8},
                                                           {"store_keys", 1},
                                                           {"store_revision", 3},
                                                           {"store_transactions", 6},
                                                           {"store_waiting", 9},
                                                           {"store_watches", 7},
                                                           {"violations", 14},
                                                           {"vms", 2}}));
}

}  // namespace
}  // namespace hostcall::daemon
