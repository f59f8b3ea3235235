// Which requests become orders: only what an entry of services.d lists, in the state that hostcalld knows.
#include "daemon/runner/order.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/temp_dir.h"

namespace hostcall::daemon {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using wire::Code;

class OrderTest : public testing::Test {
 protected:
  OrderTest() {
    directory_.write("a.json", R"({"services": [
      {"name": "backup", "run": ["/bin/receive", "--from={vm}", "{{x}}"], "arguments": ["[a-z]+", "[0-9]*"],
       "environment": {"UUID": "{uuid}", "LANG": "C.UTF-8"}},
      {"name": "any", "run": ["/bin/any"], "arguments": [".*", "rest"], "environment": {"PATH": "/opt"}},
      {"name": "broken", "run": ["relative"]},
      {"name": "agent", "socket": "unix:/run/agent.sock", "user": "alice"},
      {"name": "own", "socket": "unix:/run/own.sock"},
      {"name": "web", "socket": "tcp:127.0.0.1:80"}]})");
    services_ = Services::read({directory_.path()});
  }
  runner::Target target(const std::string& service) const {
    runner::Target target;
    target.set_service(service);
    if (const auto found = services_.find(service)) target.set_digest(found->digest);
    target.set_vm("web1");
    return target;
  }
  runner::Start start(const std::string& service, const std::vector<std::string>& arguments = {}) const {
    runner::Start start;
    *start.mutable_target() = target(service);
    for (const auto& argument : arguments) start.add_arguments(argument);
    return start;
  }
  wire::Status check(const runner::Start& start) {
    order_ = {};
    return check_start(services_, start, order_);
  }
  wire::Status check_connect_to(const std::string& service) {
    runner::Connect connect;
    *connect.mutable_target() = target(service);
    ConnectOrder order;
    return check_connect(services_, connect, order);
  }

  test::TempDir directory_;
  Services services_;
  ProgramOrder order_;
};

TEST_F(OrderTest, TheEntrySaysWhatRuns) {
  auto request = start("backup", {"home", "7"});
  request.mutable_target()->set_uuid("01234567-89ab-cdef-0123-456789abcdef");
  ASSERT_TRUE(check(request).ok());
  EXPECT_THAT(order_.command, ElementsAre("/bin/receive", "--from=web1", "{x}", "home", "7"));
  EXPECT_THAT(order_.environment, ElementsAre("HOSTCALL_SERVICE=backup", "HOSTCALL_VM=web1",
                                              "HOSTCALL_VM_UUID=01234567-89ab-cdef-0123-456789abcdef", "LANG=C.UTF-8",
                                              "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin",
                                              "UUID=01234567-89ab-cdef-0123-456789abcdef"));
}

TEST_F(OrderTest, AnEntryMayHaveAPathOfItsOwn) {
  ASSERT_TRUE(check(start("any", {""})).ok());
  EXPECT_THAT(order_.environment, testing::Contains("PATH=/opt"));
}

TEST_F(OrderTest, ArgumentsAreWords) {
  ASSERT_TRUE(check(start("any", {"{vm}", "a b", "$(id)", "\xff\n\""})).ok());
  EXPECT_THAT(order_.command, ElementsAre("/bin/any", "{vm}", "a b", "$(id)", "\xff\n\""));
}

TEST_F(OrderTest, OnlyWhatIsListedIsStarted) {
  for (const char* name : {"", "nothing", "Backup", "backup ", "../backup", "/bin/sh", "a"}) {
    const auto status = check(start(name));
    EXPECT_EQ(status.code, Code::kNotFound) << name;
    EXPECT_THAT(status.message, HasSubstr("does not exist"));
  }
  EXPECT_EQ(check(start(std::string(100'000, 'a'))).code, Code::kNotFound);
  EXPECT_LT(check(start(std::string(100'000, 'a'))).message.size(), 1000U);
  EXPECT_EQ(check(start("agent")).code, Code::kFailedPrecondition);
}

TEST_F(OrderTest, ADisabledServiceTellsNoPath) {
  const auto status = check(start("broken"));
  EXPECT_EQ(status.code, Code::kUnavailable);
  EXPECT_EQ(status.message, "service \"broken\" is disabled, because its entry has an error");
}

TEST_F(OrderTest, AnotherDigestIsRefused) {
  auto request = start("backup", {"home", "7"});
  for (const auto& digest : {std::string(), std::string("x"), std::string(64, '0')}) {
    request.mutable_target()->set_digest(digest);
    const auto status = check(request);
    EXPECT_EQ(status.code, Code::kUnavailable);
    EXPECT_EQ(status.message, "service \"backup\" has changed; reload hostcalld");
  }
}

TEST_F(OrderTest, CallersHaveTheFormOfVms) {
  for (const char* vm : {"", "Web1", "../x", "a/b", "a b", "a\n", "-a"}) {
    auto request = start("backup", {"home", "7"});
    request.mutable_target()->set_vm(vm);
    EXPECT_EQ(check(request).code, Code::kInvalidArgument) << vm;
  }
  for (const char* uuid : {"x", "01234567-89AB-CDEF-0123-456789ABCDEF", "01234567-89ab-cdef-0123-456789abcdef\n"}) {
    auto request = start("backup", {"home", "7"});
    request.mutable_target()->set_uuid(uuid);
    EXPECT_EQ(check(request).code, Code::kInvalidArgument) << uuid;
  }
}

TEST_F(OrderTest, ArgumentsAreCheckedHereToo) {
  const std::vector<std::vector<std::string>> wrong = {{},
                                                       {"home"},
                                                       {"home", "7", "8"},
                                                       {"home", "x"},
                                                       {"HOME", "7"},
                                                       {"home\n", "7"},
                                                       {"-o", "7"},
                                                       {"home x", "7"},
                                                       {std::string("home\0", 5), "7"},
                                                       {std::string(5000, 'a'), "7"}};
  for (const auto& arguments : wrong) {
    const auto status = check(start("backup", arguments));
    EXPECT_EQ(status.code, Code::kInvalidArgument) << testing::PrintToString(arguments);
    EXPECT_THAT(status.message, HasSubstr("service \"backup\": "));
  }
}

TEST_F(OrderTest, OnlySocketsOfOthersAreConnectedTo) {
  EXPECT_TRUE(check_connect_to("agent").ok());
  EXPECT_TRUE(check_connect_to("web").ok());
  EXPECT_EQ(check_connect_to("own").code, Code::kFailedPrecondition) << "hostcalld would borrow the runner's rights";
  EXPECT_EQ(check_connect_to("backup").code, Code::kFailedPrecondition);
  EXPECT_EQ(check_connect_to("/run/agent.sock").code, Code::kNotFound);
}

}  // namespace
}  // namespace hostcall::daemon
