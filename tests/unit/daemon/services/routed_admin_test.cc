// Routed services as administrators and guests see them: lists, explanations of policy, and calls that are ended.
#include "daemon/services/routed_service.h"
#include "hostcall/v1/admin.hostcall.h"
#include "hostcall/v1/session.hostcall.h"
#include "tests/support/descriptors.h"
#include "tests/support/scripted_backend.h"
#include "tests/unit/daemon/services/fixture.h"

namespace hostcall::daemon::test {
namespace {

using hostcall::test::descriptor_set;
using hostcall::test::file_descriptor;
using hostcall::test::ScriptedBackend;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsSupersetOf;
using v1::Admin::PolicyExplain;
using v1::Admin::RunKill;
using v1::Admin::RunList;
using v1::Admin::ServiceList;
using v1::Admin::ServiceShow;
using v1::Session::ListServices;

class RoutedAdminTest : public ServicesTest {
 protected:
  RoutedAdminTest() {
    rig_.router.add_routes(routes_);
    rig_.directory.write("described.desc",
                         descriptor_set({file_descriptor("acme.v1", "Described",
                                                         {{.name = "Put", .client_streams = true}, {.name = "Get"}})}));
    rig_.use_services(R"({"services": [{"service": "acme.v1.Open", "protocol": "hostcall", "ttrpc": "unix:)" + path() +
                      R"(", "streaming": true, "metadata": ["traceparent", "acme-*"], "concurrent": 7},
      {"service": "acme.v1.Described", "ttrpc": "unix:@described", "descriptors": ")" +
                      (rig_.directory / "described.desc") + "\"}]}");
  }
  ~RoutedAdminTest() override { rig_.stop(); }
  void settle() override {
    do ServicesTest::settle();
    while (backend_.pump());
  }
  std::string path() const { return rig_.directory / "open.sock"; }
  std::vector<std::string> listed(WireClient& caller) {
    std::vector<std::string> names;
    const auto list = must<ListServices>(caller);
    for (const auto& method : list.methods()) names.push_back(method.method());
    return names;
  }
  v1::PolicyExplainResponse explained(const std::string& method) {
    v1::PolicyExplainRequest request;
    request.set_vm("web1");
    request.set_method(method);
    return must<PolicyExplain>(*host_, request);
  }

  ScriptedBackend backend_{path()};
  RoutedServices routes_{{rig_.reactor, rig_.catalog, runner_, host_calls_, -1}};
  std::unique_ptr<WireClient> host_ = admin();
};

TEST_F(RoutedAdminTest, ServicesAreListedAndShown) {
  const auto list = must<ServiceList>(*host_);
  ASSERT_EQ(list.services_size(), 2);
  EXPECT_EQ(list.services(1).name(), "acme.v1.Open");
  EXPECT_EQ(list.services(1).kind(), v1::SERVICE_KIND_SERVER);
  EXPECT_EQ(list.services(1).target(), "unix:" + path());
  EXPECT_EQ(list.services(1).concurrent(), 7u);
  v1::ServiceShowRequest request;
  request.set_name("acme.v1.Open");
  const auto open = must<ServiceShow>(*host_, request).server();
  EXPECT_EQ(open.address(), "unix:" + path());
  EXPECT_EQ(open.protocol(), "hostcall");
  EXPECT_TRUE(open.streaming());
  EXPECT_THAT(open.metadata(), ElementsAre("traceparent", "acme-*"));
  EXPECT_THAT(open.methods(), testing::IsEmpty());
  request.set_name("acme.v1.Described");
  const auto described = must<ServiceShow>(*host_, request).server();
  EXPECT_EQ(described.protocol(), "ttrpc");
  EXPECT_THAT(described.methods(), ElementsAre("Get", "Put"));
}

TEST_F(RoutedAdminTest, GuestsSeeWhatTheyMayCall) {
  const auto caller = guest("web1");
  EXPECT_THAT(listed(*caller), IsSupersetOf({"acme.v1.Described/Get", "acme.v1.Described/Put", "acme.v1.Open/*"}));
  EXPECT_THAT(listed(*host_), IsSupersetOf({"acme.v1.Described/Get", "acme.v1.Described/Put", "acme.v1.Open/*"}));
  policy(R"({"vms": ["*"], "calls": ["hostcall.v1.Session/*", "acme.v1.Described/Get"], "action": "allow"})");
  const auto few = listed(*caller);
  EXPECT_THAT(few, testing::Contains("acme.v1.Described/Get"));
  EXPECT_THAT(few, testing::Not(testing::Contains("acme.v1.Described/Put")));
  EXPECT_THAT(few, testing::Not(testing::Contains("acme.v1.Open/*")));
}

TEST_F(RoutedAdminTest, PolicyIsExplained) {
  EXPECT_TRUE(explained("acme.v1.Open/Anything").allowed());
  policy(R"({"vms": ["*"], "calls": ["acme.v1.Open/Get", "acme.v1.Described/*"], "action": "allow"})");
  EXPECT_TRUE(explained("acme.v1.Open/Get").allowed());
  EXPECT_TRUE(explained("acme.v1.Described/Put").allowed());
  const auto denied = explained("acme.v1.Open/Put");
  EXPECT_FALSE(denied.allowed());
  EXPECT_THAT(denied.text(), HasSubstr("acme.v1.Open/Put is denied"));
  v1::PolicyExplainRequest request;
  request.set_vm("web1");
  for (const auto* none : {"acme.v1.Described/Drop", "acme.v1.Open/", "acme.v1.Open", "acme.v1.Open/a b", "/", ""}) {
    request.set_method(none);
    EXPECT_FALSE(call<PolicyExplain>(*host_, request).status.ok()) << none;
  }
}

TEST_F(RoutedAdminTest, CallsAreListedAndEnded) {
  const auto caller = guest("web1");
  const auto stream = caller->start("acme.v1.Open/Wait", "12345");
  settle();
  ASSERT_EQ(backend_.calls.size(), 1u);
  const auto list = must<RunList>(*host_);
  ASSERT_EQ(list.runs_size(), 1);
  EXPECT_EQ(list.runs(0).kind(), v1::SERVICE_KIND_SERVER);
  EXPECT_EQ(list.runs(0).service(), "acme.v1.Open");
  EXPECT_EQ(list.runs(0).vm(), "web1");
  v1::RunKillRequest request;
  request.set_number(list.runs(0).number());
  must<RunKill>(*host_, request);
  settle();
  expect_refused(caller->finish(stream).status, Code::kCancelled, "ended by an administrator");
  EXPECT_TRUE(backend_.last().cancelled);
}

}  // namespace
}  // namespace hostcall::daemon::test
