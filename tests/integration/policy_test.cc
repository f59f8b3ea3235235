// Policy as a guest, an administrator and the journal see it.
#include <gtest/gtest.h>

#include "hostcall/v1/admin.pb.h"
#include "hostcall/v1/host.pb.h"
#include "tests/support/daemon_process.h"
#include "tests/support/wire_client.h"

namespace hostcall::test {
namespace {

using wire::Code;

constexpr char kPolicy[] = R"({"rules": [
  {"vms": ["*"], "calls": ["hostcall.v1.Session/*"], "action": "allow"},
  {"vms": ["web1"], "calls": ["hostcall.v1.Host/Metrics"], "action": "deny"},
  {"vms": ["tag:web"], "calls": ["hostcall.v1.Host/*"], "action": "allow"},
  {"vms": ["*"], "calls": ["hostcall.v1.Diagnostics/Echo"], "action": "allow", "rate": 0.01, "burst": 2}
]})";
constexpr char kVms[] = R"({"vms": [{"name": "web1", "unix_path": "@DIR@/web1.sock", "tags": ["web"]},
  {"name": "web2", "unix_path": "@DIR@/web2.sock", "tags": ["web"]}, {"name": "db1", "unix_path": "@DIR@/db1.sock"}]})";

DaemonOptions options() { return {.vms_json = kVms, .policy_json = kPolicy}; }

TEST(Policy, DecidesByVmTagAndOrder) {
  DaemonProcess daemon(options());
  WireClient web1(daemon.vm_address("web1")), web2(daemon.vm_address("web2")), db1(daemon.vm_address("db1"));
  EXPECT_EQ(web1.call("hostcall.v1.Host/Info").status.code, Code::kOk);
  EXPECT_EQ(web1.call("hostcall.v1.Host/Metrics").status.code, Code::kPermissionDenied);
  EXPECT_EQ(web2.call("hostcall.v1.Host/Metrics").status.code, Code::kOk);
  EXPECT_EQ(db1.call("hostcall.v1.Host/Info").status.code, Code::kPermissionDenied);
  EXPECT_EQ(db1.call("hostcall.v1.Session/WhoAmI").status.code, Code::kOk);
}

TEST(Policy, ADenialSaysTheSameToGuestJournalAndAdministratorButForTheFilesDirectory) {
  DaemonProcess daemon(options());
  WireClient web1(daemon.vm_address("web1"));
  const auto answer = web1.call("hostcall.v1.Host/Metrics");
  EXPECT_NE(answer.status.message.find("is denied by 50-test.json:3"), std::string::npos) << answer.status.message;
  EXPECT_EQ(answer.status.message.find(daemon.directory().path()), std::string::npos) << "a path of the host";

  WireClient admin(daemon.admin_address());
  v1::PolicyExplainRequest request;
  request.set_vm("web1");
  request.set_method("hostcall.v1.Host/Metrics");
  v1::PolicyExplainResponse explained;
  ASSERT_TRUE(explained.ParseFromString(admin.call("hostcall.v1.Admin/PolicyExplain", request).payload));
  EXPECT_FALSE(explained.allowed());
  EXPECT_EQ(explained.file(), daemon.policy_file());
  EXPECT_EQ(explained.line(), 3U);
  auto short_text = explained.text();
  short_text.replace(short_text.find(daemon.policy_file()), daemon.policy_file().size(), "50-test.json");
  EXPECT_EQ(short_text + " (see hostcallctl policy explain)", answer.status.message);
  EXPECT_TRUE(daemon.process().wait_for_error_text(explained.text())) << daemon.process().errors();
}

TEST(Policy, EqualDenialsHaveOneRecordAndACount) {
  DaemonProcess daemon(options());
  WireClient db1(daemon.vm_address("db1"));
  for (int i = 0; i < 20; ++i) EXPECT_EQ(db1.call("hostcall.v1.Host/Info").status.code, Code::kPermissionDenied);
  EXPECT_EQ(daemon.stop(), 0);
  int records = 0;
  const auto& text = daemon.process().errors();
  for (std::size_t at = 0; (at = text.find("hostcall.v1.Host/Info is denied", at)) != std::string::npos; ++at)
    ++records;
  EXPECT_EQ(records, 2) << text;
  EXPECT_NE(text.find("(19 more times within "), std::string::npos) << text;
}

TEST(Policy, ANewConnectionAndAReloadGiveNothingOfARateBack) {
  DaemonProcess daemon(options());
  WireClient admin(daemon.admin_address());
  int allowed = 0;
  for (int i = 0; i < 8; ++i) {
    allowed += WireClient(daemon.vm_address("web1")).call("hostcall.v1.Diagnostics/Echo").status.ok();
    EXPECT_TRUE(admin.call("hostcall.v1.Admin/Reload").status.ok());
  }
  EXPECT_EQ(allowed, 2) << "the burst";
}

TEST(Policy, ARateSaysWhenToRetry) {
  DaemonProcess daemon(options());
  WireClient web1(daemon.vm_address("web1")), db1(daemon.vm_address("db1"));
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_EQ(web1.call("hostcall.v1.Diagnostics/Echo").status.code, Code::kOk);
  EXPECT_EQ(web1.call("hostcall.v1.Diagnostics/Echo").status.code, Code::kOk);
  const auto third = web1.call("hostcall.v1.Diagnostics/Echo");
  EXPECT_EQ(third.status.code, Code::kResourceExhausted);
  // One in 100 s, of which some have passed since the first call.
  constexpr std::chrono::seconds kOneCall(100);
  EXPECT_LE(third.status.retry_after, kOneCall);
  EXPECT_GE(third.status.retry_after + (std::chrono::steady_clock::now() - begin), kOneCall);
  EXPECT_NE(third.status.message.find(":5"), std::string::npos) << third.status.message;
  EXPECT_EQ(db1.call("hostcall.v1.Diagnostics/Echo").status.code, Code::kOk) << "the rate is per VM";
}

TEST(Policy, ListServicesShowsWhatIsAllowedAndWhatIsLeft) {
  DaemonProcess daemon(options());
  WireClient db1(daemon.vm_address("db1"));
  v1::ListServicesResponse list;
  ASSERT_TRUE(list.ParseFromString(db1.call("hostcall.v1.Session/ListServices").payload));
  std::vector<std::string> names;
  for (const auto& method : list.methods()) names.push_back(method.method());
  EXPECT_EQ(names, (std::vector<std::string>{"hostcall.v1.Diagnostics/Echo", "hostcall.v1.Session/Descriptors",
                                             "hostcall.v1.Session/Hello", "hostcall.v1.Session/ListServices",
                                             "hostcall.v1.Session/Ping", "hostcall.v1.Session/WhoAmI"}));
  EXPECT_DOUBLE_EQ(list.methods(0).rate_per_second(), 0.01);
  bool found = false;
  for (const auto& limit : list.limits())
    if (limit.name() == "connections") {
      found = true;
      EXPECT_EQ(limit.limit(), 16U);
      EXPECT_EQ(limit.left(), 15U);
    }
  EXPECT_TRUE(found);
}

TEST(Policy, AChangedPolicyHoldsForOpenSessionsAfterReload) {
  DaemonProcess daemon(options());
  WireClient db1(daemon.vm_address("db1")), admin(daemon.admin_address());
  EXPECT_EQ(db1.call("hostcall.v1.Host/Info").status.code, Code::kPermissionDenied);
  daemon.directory().write("policy.d/60-more.json",
                           R"({"rules": [{"vms": ["db1"], "calls": ["hostcall.v1.Host/Info"], "action": "allow"}]})");
  EXPECT_EQ(admin.call("hostcall.v1.Admin/Reload").status.code, Code::kOk);
  EXPECT_EQ(db1.call("hostcall.v1.Host/Info").status.code, Code::kOk);
}

TEST(Policy, ABrokenFileLeavesTheOldPolicyAndSaysWhere) {
  DaemonProcess daemon(options());
  WireClient web1(daemon.vm_address("web1")), admin(daemon.admin_address());
  daemon.directory().write("policy.d/60-more.json",
                           "{\"rules\": [\n  {\"vms\": [\"*\"], \"calls\": [\"*\"], \"action\": \"alow\"}]}");
  const auto reload = admin.call("hostcall.v1.Admin/Reload");
  EXPECT_EQ(reload.status.code, Code::kFailedPrecondition);
  EXPECT_NE(reload.status.message.find("60-more.json:2"), std::string::npos) << reload.status.message;
  EXPECT_EQ(web1.call("hostcall.v1.Host/Info").status.code, Code::kOk);

  v1::PolicyCheckRequest check;
  EXPECT_EQ(admin.call("hostcall.v1.Admin/PolicyCheck", check).status.code, Code::kInvalidArgument);
  auto& file = *check.add_files();
  file.set_name("mine.json");
  file.set_content(kPolicy);
  v1::PolicyCheckResponse good;
  ASSERT_TRUE(good.ParseFromString(admin.call("hostcall.v1.Admin/PolicyCheck", check).payload));
  EXPECT_EQ(good.rules(), 4U);
}

}  // namespace
}  // namespace hostcall::test
