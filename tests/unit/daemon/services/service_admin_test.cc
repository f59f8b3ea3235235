// Administration of services.d: lists of services and of the calls that use them, and ending such a call.
#include "daemon/services/service_admin.h"

#include <sys/socket.h>

#include <algorithm>

#include "hostcall/v1/admin.hostcall.h"
#include "hostcall/v1/relay.hostcall.h"
#include "hostcall/v1/run.hostcall.h"
#include "proto/net/socket.h"
#include "tests/unit/daemon/services/fixture.h"

namespace hostcall::daemon {
namespace {

using test::WireClient;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using v1::Admin::RunKill;
using v1::Admin::RunList;
using v1::Admin::ServiceCheck;
using v1::Admin::ServiceList;
using v1::Admin::ServiceShow;

class ServiceAdminTest : public test::ServicesTest {
 protected:
  ServiceAdminTest() {
    use(R"({"name": "job", "run": ["/bin/job", "two words", "{vm}"], "user": "nobody", "arguments": ["[a-z]+", "rest"],
            "environment": {"LANG": "C"}, "timeout": "1h", "concurrent": 20, "concurrent_per_vm": 10,
            "properties": {"MemoryMax": "512M"}},
           {"name": "agent", "socket": "unix:)" +
        path() + R"(", "preface": "qrexec", "idle_timeout": "90s", "max_bytes": 1000},
           {"name": "broken", "run": ["sh"]}, {"name": 7})");
  }
  void use(const std::string& entries) { rig_.use_services("{\"services\": [\n" + entries + "]}"); }
  std::string path() const { return rig_.directory / "backend.sock"; }
  std::string place() const { return rig_.directory / "services.d/50-test.json"; }

  std::uint32_t run(WireClient& caller, const std::string& service = "job") {
    v1::StartRequest request;
    request.set_service(service);
    request.add_arguments("a");
    return start<v1::Run::Start>(caller, request);
  }
  std::uint32_t open(WireClient& caller) {
    v1::OpenRequest request;
    request.set_service("agent");
    request.set_data("hello");
    return start<v1::Relay::Open>(caller, request);
  }
  std::vector<v1::RunState> runs(const std::string& vm = "", const std::string& service = "") {
    v1::RunListRequest request;
    request.set_vm(vm);
    request.set_service(service);
    const auto list = must<RunList>(*host_, request);
    EXPECT_EQ(list.next(), 0u);
    return {list.runs().begin(), list.runs().end()};
  }
  test::Reply<RunKill> kill(std::uint64_t number) {
    v1::RunKillRequest request;
    request.set_number(number);
    return call<RunKill>(*host_, request);
  }

  const std::unique_ptr<WireClient> host_ = admin();
};

// ---------------------------------------------------------------- services

TEST_F(ServiceAdminTest, ListsServicesThenThoseThatAreDisabled) {
  const auto caller = guest("web1");
  run(*caller);
  const auto list = must<ServiceList>(*host_);
  ASSERT_EQ(list.services_size(), 4);
  EXPECT_EQ(list.next(), "");
  const auto& agent = list.services(0);
  EXPECT_EQ(agent.name(), "agent");
  EXPECT_EQ(agent.kind(), v1::SERVICE_KIND_SOCKET);
  EXPECT_EQ(agent.target(), "unix:" + path());
  EXPECT_EQ(agent.user(), "");
  EXPECT_EQ(agent.calls(), 0u);
  EXPECT_EQ(agent.concurrent(), 64u);
  EXPECT_EQ(agent.concurrent_per_vm(), 8u);
  const auto& job = list.services(1);
  EXPECT_EQ(job.name(), "job");
  EXPECT_EQ(job.kind(), v1::SERVICE_KIND_PROGRAM);
  EXPECT_EQ(job.target(), "/bin/job \"two words\" {vm}");
  EXPECT_EQ(job.user(), "nobody");
  EXPECT_EQ(job.calls(), 1u);
  EXPECT_EQ(job.place(), place() + ":2");
  EXPECT_EQ(job.disabled(), "");
  EXPECT_EQ(list.services(2).name(), "broken");
  EXPECT_EQ(list.services(2).kind(), v1::SERVICE_KIND_UNKNOWN);
  EXPECT_THAT(list.services(2).disabled(), HasSubstr(place() + ":6: "));
  EXPECT_EQ(list.services(3).name(), "") << "nobody knows";
  EXPECT_THAT(list.services(3).disabled(), HasSubstr("name: expected a string"));
}

TEST_F(ServiceAdminTest, PagesOfAnySizeMakeTheSameList) {
  for (std::uint32_t size = 1; size <= 5; ++size) {
    std::vector<std::string> names;
    v1::ServiceListRequest request;
    request.set_limit(size);
    do {
      const auto page = must<ServiceList>(*host_, request);
      EXPECT_LE(static_cast<std::uint32_t>(page.services_size()), size);
      for (const auto& service : page.services()) names.push_back(service.name());
      request.set_after(page.next());
    } while (!request.after().empty());
    EXPECT_THAT(names, ElementsAre("agent", "job", "broken", "")) << size;
  }
}

TEST_F(ServiceAdminTest, ALongListOfLongCommandsFitsIntoMessages) {
  std::string entries;
  for (int i = 0; i < 600; ++i)
    entries += (i == 0 ? "" : ",\n") + std::string(R"({"name": "s)") + std::to_string(i) + R"(", "run": ["/bin/x", ")" +
               std::string(20'000, 'x') + "\"]}";
  use(entries);
  v1::ServiceListRequest request;
  int services = 0;
  do {
    const auto page = must<ServiceList>(*host_, request);
    services += page.services_size();
    for (const auto& service : page.services()) EXPECT_LE(service.target().size(), 256u);
    request.set_after(page.next());
  } while (!request.after().empty());
  EXPECT_EQ(services, 600);
}

TEST_F(ServiceAdminTest, APageMayBeginAnywhere) {
  v1::ServiceListRequest request;
  for (const auto* after : {"zzz", "disabled:", "disabled:x", "disabled:99999999999999999999"}) {
    request.set_after(after);
    EXPECT_EQ(must<ServiceList>(*host_, request).services_size(), 2) << after;
  }
  request.set_after("disabled:7");
  EXPECT_EQ(must<ServiceList>(*host_, request).services_size(), 0);
}

TEST_F(ServiceAdminTest, ShowsAllOfAProgram) {
  v1::ServiceShowRequest request;
  request.set_name("job");
  const auto shown = must<ServiceShow>(*host_, request);
  EXPECT_EQ(shown.service().name(), "job");
  EXPECT_FALSE(shown.has_socket());
  const auto& program = shown.program();
  EXPECT_THAT(program.command(), ElementsAre("/bin/job", "two words", "{vm}"));
  EXPECT_THAT(program.arguments(), ElementsAre("[a-z]+"));
  EXPECT_TRUE(program.rest());
  EXPECT_FALSE(program.dashes());
  ASSERT_EQ(program.environment_size(), 1);
  EXPECT_EQ(program.environment(0).name() + "=" + program.environment(0).value(), "LANG=C");
  EXPECT_EQ(program.timeout_nano(), 3'600'000'000'000u);
  EXPECT_EQ(program.start_rate(), 10);
  EXPECT_EQ(program.start_burst(), 20);
  ASSERT_EQ(program.properties_size(), 1);
  EXPECT_EQ(program.properties(0).name() + "=" + program.properties(0).value(), "MemoryMax=512M");
  EXPECT_EQ(shown.digest(), rig_.catalog.services().find("job")->digest);
}

TEST_F(ServiceAdminTest, ShowsAllOfASocket) {
  v1::ServiceShowRequest request;
  request.set_name("agent");
  const auto shown = must<ServiceShow>(*host_, request);
  EXPECT_FALSE(shown.has_program());
  EXPECT_EQ(shown.socket().address(), "unix:" + path());
  EXPECT_EQ(shown.socket().preface(), "qrexec");
  EXPECT_EQ(shown.socket().idle_timeout_nano(), 90'000'000'000u);
  EXPECT_EQ(shown.socket().max_bytes(), 1000u);
}

TEST_F(ServiceAdminTest, ShowsWhyAServiceIsDisabledAndWhatWasMeant) {
  v1::ServiceShowRequest request;
  request.set_name("broken");
  const auto shown = must<ServiceShow>(*host_, request);
  EXPECT_THAT(shown.service().disabled(), HasSubstr(place() + ":6: "));
  EXPECT_FALSE(shown.has_program());
  const auto refused = [&](const std::string& name, const std::string& text) {
    request.set_name(name);
    expect_refused(call<ServiceShow>(*host_, request).status, Code::kNotFound, text);
  };
  refused("agemt", "no service is named \"agemt\"; did you mean \"agent\"?");
  refused("brokem", "did you mean \"broken\"?");
  refused("", "no service is named \"\"; hostcallctl service list shows all");
  refused("printer\n", "no service is named \"printer\\x0a\"; hostcallctl service list shows all");
}

// ---------------------------------------------------------------- check

TEST_F(ServiceAdminTest, ChecksTheFilesAsideWithoutUsingThem) {
  rig_.config.runner = Config::Runner::kSystemd;
  rig_.directory.write("services.d/60-more.json", R"({"name": "more", "run": ["/nowhere/x"]})");
  const auto before = rig_.background.jobs;
  const auto found = must<ServiceCheck>(*host_);
  EXPECT_EQ(rig_.background.jobs, before + 1) << "on the other thread";
  EXPECT_EQ(found.services(), 3u);
  EXPECT_THAT(found.errors(), ElementsAre(testing::AllOf(testing::StartsWith(place() + ":6: "),
                                                         HasSubstr("; the service broken is disabled")),
                                          testing::StartsWith(place() + ":6: ")));
  EXPECT_THAT(found.warnings(),
              ElementsAre(HasSubstr("the service job: the program \"/bin/job\" does not exist"),
                          rig_.directory / "services.d/60-more.json:1: the service more: the program \"/nowhere/x\" "
                                           "does not exist"));
  EXPECT_EQ(rig_.catalog.services().find("more"), nullptr) << "not in force";
  rig_.directory.write("services.d/50-test.json", R"({"services": []})");
  rig_.directory.write("services.d/60-more.json", R"({"name": "more", "run": ["/bin/sh"]})");
  EXPECT_THAT(must<ServiceCheck>(*host_).errors(), IsEmpty());
}

TEST_F(ServiceAdminTest, ACheckTellsOfABoundedNumberOfErrors) {
  std::string entries;
  for (int i = 0; i < 250; ++i) entries += i == 0 ? "{}" : ",{}";
  rig_.directory.write("services.d/50-test.json", "{\"services\": [" + entries + "]}");
  const auto found = must<ServiceCheck>(*host_);
  ASSERT_EQ(found.errors_size(), 101);
  EXPECT_EQ(found.errors(100), "and 150 more");
}

// A rule may be there before its service is in force.
TEST_F(ServiceAdminTest, PolicyIsCheckedAgainstTheServicesOnDisk) {
  rig_.write_policy(R"({"rules": [{"vms": ["*"], "calls": ["hostcall.v1.Run/Start"], "resources": ["later", "job"],
                                   "action": "allow"}]})");
  const auto warnings = [&] { return must<v1::Admin::PolicyCheck>(*host_).warnings(); };
  EXPECT_THAT(warnings(), ElementsAre(HasSubstr("services.d has no service \"later\"")));
  rig_.directory.write("services.d/50-test.json", R"({"name": "later", "run": ["/bin/x"]})");
  EXPECT_THAT(warnings(), ElementsAre(HasSubstr("services.d has no service \"job\"")));
}

// ---------------------------------------------------------------- runs

TEST_F(ServiceAdminTest, ListsWhatRuns) {
  const auto backend = net::listen(net::unix_address(path()));
  ASSERT_TRUE(backend.ok());
  const auto web = guest("web1"), db = guest("db1");
  EXPECT_THAT(runs(), IsEmpty());
  run(*web);
  advance(seconds(2));
  open(*db);
  advance(seconds(1));
  auto list = runs();
  ASSERT_EQ(list.size(), 2u);
  EXPECT_EQ(list[0].kind(), v1::SERVICE_KIND_PROGRAM);
  EXPECT_EQ(list[0].vm(), "web1");
  EXPECT_EQ(list[0].service(), "job");
  EXPECT_EQ(list[0].place(), "") << "it does not run yet";
  EXPECT_EQ(list[0].age_nano(), 3'000'000'000u);
  EXPECT_GT(list[1].number(), list[0].number());
  EXPECT_EQ(list[1].kind(), v1::SERVICE_KIND_SOCKET);
  EXPECT_EQ(list[1].vm(), "db1");
  EXPECT_EQ(list[1].place(), "unix:" + path());
  EXPECT_EQ(list[1].age_nano(), 1'000'000'000u);
  EXPECT_EQ(list[1].bytes_in(), 5u) << "without the preface";
  runner_.program->on_started("hostcall-run-job-web1-7.service");
  ASSERT_EQ(::write(runner_.fds[1].get(), "output", 6), 6);
  settle();
  list = runs();
  EXPECT_EQ(list[0].place(), "hostcall-run-job-web1-7.service");
  EXPECT_EQ(list[0].bytes_out(), 6u);
}

TEST_F(ServiceAdminTest, WhatHasEndedIsNoLongerListed) {
  auto caller = guest("web1");
  run(*caller);
  run(*caller, "agent");   // is no program
  run(*caller, "broken");  // is disabled
  ASSERT_EQ(runs().size(), 1u);
  const auto number = runs()[0].number();
  caller.reset();
  settle();
  EXPECT_THAT(runs(), IsEmpty()) << "its connection has gone";
  const auto other = guest("web1");
  const auto stream = run(*other);
  EXPECT_EQ(runs()[0].number(), number + 1) << "no number is given twice";
  runner_.fds = {};
  runner_.program->on_failed({Code::kUnavailable, "no"});
  settle();
  EXPECT_THAT(runs(), IsEmpty());
  EXPECT_FALSE(other->finish(stream).status.ok());
}

TEST_F(ServiceAdminTest, ListsTheCallsOfAVmOrService) {
  const auto web = guest("web1"), db = guest("db1");
  run(*web);
  run(*db);
  run(*web);
  EXPECT_EQ(runs("web1").size(), 2u);
  EXPECT_EQ(runs("db1", "job").size(), 1u);
  EXPECT_THAT(runs("@admin"), IsEmpty());
  EXPECT_THAT(runs("", "agent"), IsEmpty());
  EXPECT_THAT(runs("", "broken"), IsEmpty());
  v1::RunListRequest request;
  request.set_vm("nobody");
  expect_refused(call<RunList>(*host_, request).status, Code::kNotFound, "no VM is named \"nobody\"");
  request.set_vm("");
  request.set_service("jop");
  expect_refused(call<RunList>(*host_, request).status, Code::kNotFound, "did you mean \"job\"?");
  use("");
  EXPECT_EQ(runs("", "job").size(), 3u) << "a reload has removed the service, but not its calls";
}

TEST_F(ServiceAdminTest, PagesOfRunsMakeTheSameList) {
  const auto web = guest("web1"), db = guest("db1");
  for (int i = 0; i < 5; ++i) run(i % 2 == 0 ? *web : *db);
  v1::RunListRequest request;
  request.set_vm("web1");
  request.set_limit(1);
  std::vector<std::uint64_t> numbers;
  do {
    const auto page = must<RunList>(*host_, request);
    for (const auto& state : page.runs()) numbers.push_back(state.number());
    request.set_after(page.next());
  } while (request.after() != 0);
  ASSERT_EQ(numbers.size(), 3u);
  EXPECT_TRUE(std::ranges::is_sorted(numbers));
}

// A call that the test lists itself.
class OneListed final : public ListedHostCall {
 public:
  OneListed(HostCalls& calls, const Caller& caller, const ServiceRecord& service)
      : calls_(calls), caller_(caller), service_(service), number_(calls.add(*this)) {}
  ~OneListed() { calls_.remove(number_); }
  HostCallInfo info() const override {
    return {.caller = caller_, .service = service_, .place = {}, .began = {}, .bytes_in = 0, .bytes_out = 0};
  }
  void end_by_administrator() override {}

 private:
  HostCalls& calls_;
  const Caller& caller_;
  const ServiceRecord& service_;
  const std::uint64_t number_;
};

TEST_F(ServiceAdminTest, APageLooksAtABoundedNumberOfRuns) {
  Caller caller;
  caller.vm = rig_.registry.find("db1");
  const auto service = rig_.catalog.services().find("job");
  std::vector<std::unique_ptr<OneListed>> others;
  for (std::size_t i = 0; i <= ServiceAdmin::kMostLookedAt; ++i)
    others.push_back(std::make_unique<OneListed>(host_calls_, caller, *service));
  const auto web = guest("web1");
  run(*web);
  v1::RunListRequest request;
  request.set_vm("web1");
  auto page = must<RunList>(*host_, request);
  EXPECT_EQ(page.runs_size(), 0);
  EXPECT_EQ(page.next(), ServiceAdmin::kMostLookedAt);
  request.set_after(page.next());
  page = must<RunList>(*host_, request);
  EXPECT_EQ(page.runs_size(), 1);
  EXPECT_EQ(page.next(), 0u);
}

// ---------------------------------------------------------------- kill

TEST_F(ServiceAdminTest, KillsAProgram) {
  const auto caller = guest("web1");
  const auto stream = run(*caller), second = run(*caller);
  runner_.program->on_started("pid 7");
  settle();
  const auto number = runs()[1].number();
  const auto ended = kill(number);
  ASSERT_TRUE(ended.status.ok()) << ended.status.message;
  EXPECT_EQ(ended.message.run().service(), "job");
  EXPECT_EQ(ended.message.run().vm(), "web1");
  EXPECT_EQ(ended.message.run().place(), "pid 7");
  EXPECT_EQ(runner_.program, nullptr) << "its RunningProgram is gone, which kills it";
  expect_refused(caller->finish(second).status, Code::kCancelled, "ended by an administrator");
  ASSERT_EQ(runs().size(), 1u) << "the other one runs on";
  EXPECT_EQ(rig_.catalog.calls_of("job"), 1u);
  expect_refused(kill(number).status, Code::kNotFound, "no call that uses a service has the number");
  ASSERT_TRUE(kill(runs()[0].number()).status.ok());
  EXPECT_EQ(caller->finish(stream).status.code, Code::kCancelled);
  EXPECT_EQ(rig_.catalog.calls_of("job"), 0u);
}

TEST_F(ServiceAdminTest, KillsAConnection) {
  const auto backend = net::listen(net::unix_address(path()));
  ASSERT_TRUE(backend.ok());
  const auto caller = guest("web1");
  const auto stream = open(*caller);
  auto accepted = net::accept(backend->get());
  ASSERT_TRUE(accepted.ok());
  ASSERT_TRUE(kill(runs().at(0).number()).status.ok());
  expect_refused(caller->finish(stream).status, Code::kCancelled, "ended by an administrator");
  char buffer[64];
  while (::recv(accepted->get(), buffer, sizeof buffer, MSG_DONTWAIT) > 0) {
  }
  EXPECT_EQ(::recv(accepted->get(), buffer, sizeof buffer, MSG_DONTWAIT), 0) << "closed";
  EXPECT_THAT(runs(), IsEmpty());
}

TEST_F(ServiceAdminTest, NothingElseIsKilled) {
  const auto caller = guest("web1");
  for (const std::uint64_t number : {std::uint64_t{0}, std::uint64_t{1}, UINT64_MAX})
    expect_refused(kill(number).status, Code::kNotFound, "hostcallctl run list shows all");
}

}  // namespace
}  // namespace hostcall::daemon
