// Administration of the daemon: policy, reload, sessions, counters.
#include "daemon/services/admin_service.h"

#include <algorithm>
#include <filesystem>
#include <map>

#include "hostcall/v1/admin.hostcall.h"
#include "hostcall/v1/diagnostics.hostcall.h"
#include "hostcall/v1/host.hostcall.h"
#include "hostcall/v1/session.hostcall.h"
#include "proto/base/escape.h"
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

TEST_F(AdminServiceTest, ChecksPolicyAside) {
  const auto before = rig_.background.jobs;
  v1::PolicyCheckRequest request;
  must<PolicyCheck>(*host_, request);
  request.add_files()->set_content(kAllowAll);
  must<PolicyCheck>(*host_, request);
  EXPECT_EQ(rig_.background.jobs, before + 2) << "on the other thread";
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
  EXPECT_EQ(call<v1::Store::Get>(*peer("web1"), test::get_request("/shared/k")).status.message,
            verdict.text() + " (see hostcallctl policy explain)")
      << "the guest sees the same";
  EXPECT_THAT(explain("web1", "hostcall.v1.Host/Info", "").text(), HasSubstr("which only a VM with a CID has"));
}

TEST_F(AdminServiceTest, ExplainsForAPrivilegedPortWhereThereIsOne) {
  rig_.write_vms(R"({"name": "cid1", "cid": 99, "unix_path": ")" + rig_.path_of("cid1") + "\"}");
  rig_.write_policy(
      R"({"rules": [{"vms": ["*"], "calls": ["hostcall.v1.Host/Info"], "require": ["privileged-port"], "action": "allow"}]})");
  must<Reload>(*host_);
  v1::PolicyExplainRequest request;
  request.set_vm("cid1");
  request.set_method("hostcall.v1.Host/Info");
  EXPECT_FALSE(must<PolicyExplain>(*host_, request).allowed());
  request.set_privileged_port(true);
  EXPECT_TRUE(must<PolicyExplain>(*host_, request).allowed());
}

TEST_F(AdminServiceTest, SaysWhatIsMissingOrMalformedInACallToExplain) {
  v1::PolicyExplainRequest request;
  request.set_vm("web1");
  const auto expect_invalid = [&](const char* method, const char* resource, const char* text) {
    request.set_method(method);
    request.set_resource(resource);
    expect_refused(call<PolicyExplain>(*host_, request).status, Code::kInvalidArgument, text);
  };
  for (const auto* method : {"Get", "Put", "Delete", "List", "Watch"})
    expect_invalid(("hostcall.v1.Store/" + std::string(method)).c_str(), "", " is about a resource");
  expect_invalid("hostcall.v1.Host/Info", "/self/x", "hostcall.v1.Host/Info has no resource; leave out --resource");
  expect_invalid("hostcall.v1.Store/Txn", "/self/x", "hostcall.v1.Store/Txn has no resource");
  expect_invalid("hostcall.v1.Store/Get", "self/x", "the key \"self/x\"");
  expect_invalid("hostcall.v1.Store/Get", "/self/", "the key \"/self/\"");
  expect_invalid("hostcall.v1.Store/List", "/self//x/", "the prefix \"/self//x/\"");
  expect_invalid("hostcall.v1.Store/Get", "/vm/web1/x", "a VM's are below /self/ and /shared/");
  request.set_privileged_port(true);
  expect_invalid("hostcall.v1.Host/Info", "", "VM \"web1\" has no CID, and its Unix socket shows no source port");
}

TEST_F(AdminServiceTest, WarnsOfRulesThatCantMeanWhatTheySay) {
  rig_.write_policy(R"({"rules": [{"vms": ["web9"], "calls": ["hostcall.v1.Diagnostics/Ecko"], "action": "allow"}]})");
  const auto place = rig_.directory / "policy.d/50-test.json:1: ";
  const auto expected = testing::ElementsAre(testing::StartsWith(place + "no method is named"),
                                             testing::StartsWith(place + "no VM is named \"web9\""));
  EXPECT_THAT(must<PolicyCheck>(*host_).warnings(), expected);
  rig_.log();
  EXPECT_THAT(must<Reload>(*host_).warnings(), expected);
  EXPECT_THAT(rig_.log(), testing::AllOf(HasSubstr(place + "no method is named"), HasSubstr(place + "no VM is named")));
}

TEST_F(AdminServiceTest, ExplainsOnlyWhatThereIs) {
  v1::PolicyExplainRequest request;
  request.set_vm("nobody");
  request.set_method("hostcall.v1.Host/Info");
  expect_refused(call<PolicyExplain>(*host_, request).status, Code::kNotFound, "no VM is named \"nobody\"");
  request.set_vm("web1");
  const auto refused = [&](const std::string& method, const std::string& text) {
    request.set_method(method);
    expect_refused(call<PolicyExplain>(*host_, request).status, Code::kUnimplemented, text);
  };
  for (const auto* method : {"hostcall.v2.Nothing/Nope", "", "Host\n"})
    refused(method, "no method is named " + in_quotes(method) + "; name it as PACKAGE.SERVICE/METHOD, for example ");
  refused("hostcall.v1.Host/Infx",
          "no method is named \"hostcall.v1.Host/Infx\"; did you mean \"hostcall.v1.Host/Info\"?");
  refused("hostcall.v1.Admin/Reload",
          "guests can't call hostcall.v1.Admin/Reload: the host serves it to administrators only");
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

// ---------------------------------------------------------------- checks

TEST_F(AdminServiceTest, ChecksAllFilesAsAStartDoes) {
  using v1::Admin::ConfigCheck;
  auto found = must<ConfigCheck>(*host_);
  EXPECT_EQ(found.file(), rig_.directory / "hostcalld.json");
  EXPECT_EQ(found.vms(), 2u);
  EXPECT_EQ(found.rules(), 1u);
  const auto refused = [&](const std::string& text) {
    expect_refused(call<ConfigCheck>(*host_).status, Code::kInvalidArgument, text);
  };
  rig_.write_vms("{\"vms\": [\n{\"name\": \"a\", \"cid\": 9, \"limits\": {\"memory_bytes\": 65536}}]}");
  refused("vms.d/50-test.json:2: VM \"a\": limit message_bytes (262144) is above memory_bytes (65536)");
  rig_.write_vms("oops");
  refused("vms.d/50-test.json:1: not valid JSON");
  rig_.write_vms(R"({"name": "a", "cid": 9})");
  std::filesystem::permissions(rig_.directory / "policy.d", std::filesystem::perms(0777));
  refused("chmod go-w " + rig_.directory / "policy.d");
  std::filesystem::remove_all(rig_.directory / "policy.d");
  refused("hostcalld.json:2: policy_directory: ");
  EXPECT_EQ(rig_.stats.reloads_failed, 0u) << "nothing was reloaded";
  EXPECT_NE(rig_.registry.find("web1"), nullptr);
}

// As hostcalld --check does.
TEST_F(AdminServiceTest, ACheckOfAllFilesWarnsOfRules) {
  EXPECT_THAT(must<v1::Admin::ConfigCheck>(*host_).warnings(), testing::IsEmpty());
  rig_.write_policy(R"({"rules": [{"vms": ["web9"], "calls": ["hostcall.v1.Host/*"], "action": "allow"}]})");
  EXPECT_THAT(must<v1::Admin::ConfigCheck>(*host_).warnings(),
              testing::ElementsAre(HasSubstr("no VM is named \"web9\"")));
}

// What was added at run time may clash with what a file says by now.
TEST_F(AdminServiceTest, ChecksAgainstWhatWasAddedAtRunTime) {
  v1::VmAddRequest request;
  request.mutable_record()->set_name("late");
  request.mutable_record()->set_cid(99);
  must<v1::Admin::VmAdd>(*host_, request);
  EXPECT_EQ(must<v1::Admin::ConfigCheck>(*host_).vms(), 3u);
  rig_.write_vms(R"({"name": "a", "cid": 99})");
  expect_refused(call<v1::Admin::ConfigCheck>(*host_).status, Code::kInvalidArgument,
                 "CID 99 is taken by VM \"late\" (run time)");
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
  const auto of_admins = sessions("@admin");
  ASSERT_EQ(of_admins.size(), 1u);
  EXPECT_EQ(of_admins[0].id(), 1u);
  v1::SessionListRequest request;
  request.set_vm("nobody");
  expect_refused(call<SessionList>(*host_, request).status, Code::kNotFound, "no VM is named \"nobody\"");
}

TEST_F(AdminServiceTest, ListsSessionsInPages) {
  const auto first = guest("web1"), other = guest("db1"), second = guest("web1"), third = guest("web1");
  v1::SessionListRequest request;
  request.set_vm("web1");
  request.set_limit(2);
  auto page = must<SessionList>(*host_, request);
  ASSERT_EQ(page.sessions_size(), 2);
  EXPECT_EQ(page.sessions(0).id(), 2u);
  EXPECT_EQ(page.next(), 4u);
  request.set_after(page.next());
  page = must<SessionList>(*host_, request);
  ASSERT_EQ(page.sessions_size(), 1);
  EXPECT_EQ(page.sessions(0).id(), 5u);
  EXPECT_EQ(page.next(), 0u);
  request.clear_vm();
  request.set_after(0);
  page = must<SessionList>(*host_, request);
  EXPECT_EQ(page.sessions(1).vm(), "web1");
  EXPECT_EQ(page.next(), 2u);
  const auto another = admin(), third_admin = admin();
  for (const auto* host : {&another, &third_admin}) must<v1::Session::Ping>(**host);
  request.set_vm("@admin");
  page = must<SessionList>(*host_, request);
  ASSERT_EQ(page.sessions_size(), 2);
  EXPECT_EQ(page.sessions(1).id(), 6u);
  request.set_after(page.next());
  page = must<SessionList>(*host_, request);
  ASSERT_EQ(page.sessions_size(), 1);
  EXPECT_EQ(page.sessions(0).id(), 7u);
  EXPECT_EQ(page.next(), 0u);
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
  rig_.stats.limits_hit = {{"streams", 5}, {"memory_bytes", 7}};
  rig_.stats.calls_timed_out = 13;
  rig_.stats.violations = 14;
  rig_.stats.heartbeats_lost = 15;
  rig_.stats.refusals = {{"connect_rate", 16}};
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
  EXPECT_EQ(by_name, (std::map<std::string, std::uint64_t>{{"calls", 1},
                                                           {"calls_begun", 2},
                                                           {"calls_denied", 11},
                                                           {"calls_limited", 12},
                                                           {"calls_open", 0},
                                                           {"calls_timed_out", 13},
                                                           {"connections_accepted", 2},
                                                           {"connections_open", 2},
                                                           {"connections_refused", 16},
                                                           {"heartbeats_lost", 15},
                                                           {"host_calls_open", 0},
                                                           {"journal_records_lost", 0},
                                                           {"memory_bytes", 0},
                                                           {"outbound_bytes", 0},
                                                           {"policy_rules", 1},
                                                           {"reloads", 17},
                                                           {"reloads_failed", 18},
                                                           {"restarts", 0},
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
