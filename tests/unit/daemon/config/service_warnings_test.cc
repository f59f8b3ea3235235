// Warnings about programs that can't be started, or that others could change.
#include "daemon/config/service_warnings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/temp_dir.h"

namespace hostcall::daemon {
namespace {

using hostcall::test::TempDir;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class ServiceWarnings : public testing::Test {
 protected:
  ServiceWarnings() {
    ::mkdir((directory_ / "services.d").c_str(), 0755);
    directory_.write("program", "#!/bin/sh\n");
    change_mode(0755);
  }
  std::string program() const { return directory_ / "program"; }
  void change_mode(mode_t mode) { ASSERT_EQ(::chmod(program().c_str(), mode), 0); }
  // The service is in line 2.
  std::vector<std::string> warnings(const std::string& entry) {
    directory_.write("services.d/a.json", "{\"services\": [\n{\"name\": \"x\", " + entry + "}]}");
    const auto services = Services::read({directory_ / "services.d"});
    EXPECT_EQ(services.size(), 1u);
    return service_warnings(services, host_);
  }
  std::vector<std::string> warnings_of(const std::string& path, const std::string& more = "") {
    return warnings("\"run\": [\"" + path + "\"]" + more);
  }
  std::string place() const { return directory_ / "services.d/a.json:2: the service x: "; }
  TempDir directory_;
  ServiceHost host_;
};

TEST_F(ServiceWarnings, NoneForProgramsThatCanBeStarted) {
  EXPECT_THAT(warnings_of(program()), IsEmpty());
  EXPECT_THAT(warnings_of("/bin/sh"), IsEmpty());
  EXPECT_THAT(warnings(R"("socket": "unix:/nowhere")"), IsEmpty()) << "who serves it may come later";
}

TEST_F(ServiceWarnings, ProgramsThatCantBeStarted) {
  const auto nowhere = directory_ / "nowhere";
  EXPECT_THAT(warnings_of(nowhere), ElementsAre(place() + "the program \"" + nowhere + "\" does not exist"));
  const auto below = program() + "/x";
  EXPECT_THAT(warnings_of(below), ElementsAre(place() + "the program \"" + below + "\" Not a directory"));
  EXPECT_THAT(warnings_of(directory_.path()),
              ElementsAre(place() + "the program \"" + directory_.path() + "\" is not a regular file"));
  change_mode(0644);
  EXPECT_THAT(warnings_of(program()), ElementsAre(place() + "the program \"" + program() + "\" is not executable"));
}

TEST_F(ServiceWarnings, ProgramsThatOthersCouldChange) {
  change_mode(0775);
  EXPECT_THAT(warnings_of(program()),
              ElementsAre(testing::AllOf(testing::StartsWith(place() + program() + " belongs to uid "),
                                         HasSubstr(" could change what the service runs; chmod go-w " + program()))));
}

TEST_F(ServiceWarnings, AProgramOfTheServicesOwnUserIsItsOwnMatter) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can give files away";
  constexpr uid_t kDaemon = 1;  // on Debian
  ASSERT_EQ(::chown(program().c_str(), kDaemon, 0), 0);
  EXPECT_THAT(warnings_of(program()), ElementsAre(HasSubstr("belongs to uid 1 and has mode 0755, so others than root "
                                                            "could change what the service runs; chown -h root ")));
  EXPECT_THAT(warnings_of(program(), R"(, "user": "daemon")"), IsEmpty());
  change_mode(0757);
  EXPECT_THAT(warnings_of(program(), R"(, "user": "daemon")"),
              ElementsAre(HasSubstr("so others than root or uid 1 could change what the service runs; chmod go-w ")));
}

TEST_F(ServiceWarnings, DirectoriesInWhichNothingCanRun) {
  const auto nowhere = directory_ / "nowhere";
  EXPECT_THAT(warnings_of("/bin/sh", R"(, "directory": ")" + nowhere + "\""),
              ElementsAre(place() + "the directory \"" + nowhere + "\" does not exist"));
  EXPECT_THAT(warnings_of("/bin/sh", R"(, "directory": ")" + program() + "\""),
              ElementsAre(place() + "the directory \"" + program() + "\" is not a directory"));
  EXPECT_THAT(warnings_of("/bin/sh", R"(, "directory": ")" + directory_.path() + "\""), IsEmpty());
}

TEST_F(ServiceWarnings, WhatNeedsSystemdWhereThereIsNone) {
  const std::string mine = ::geteuid() == 0 ? "root" : "";
  const auto own = mine.empty() ? "" : R"(, "user": ")" + mine + "\"";
  const auto properties = own + R"(, "properties": {"MemoryMax": "1M"})";
  EXPECT_THAT(warnings_of("/bin/sh", properties), IsEmpty());
  host_.direct = true;
  EXPECT_THAT(warnings_of("/bin/sh", own), IsEmpty());
  EXPECT_THAT(
      warnings_of("/bin/sh", properties),
      ElementsAre(place() + "its calls fail, because it has \"properties\"; that needs systemd, which \"runner\" "
                            "in hostcalld.json leaves out here"));
  const std::string other = ::geteuid() == 0 ? "daemon" : "root";
  const auto expected =
      ElementsAre(HasSubstr("its calls fail, because its user is not hostcalld's; that needs systemd"));
  EXPECT_THAT(warnings_of("/bin/sh", R"(, "user": ")" + other + "\""), expected);
  EXPECT_THAT(warnings(R"("socket": "unix:/x.sock", "user": ")" + other + "\""), expected);
  EXPECT_THAT(warnings(R"("socket": "unix:/x.sock")"), IsEmpty());
  EXPECT_THAT(warnings(R"("socket": "tcp:127.0.0.1:1")"), IsEmpty());
}

TEST_F(ServiceWarnings, RootIsWrittenOutWhereThereIsNoSystemd) {
  if (::geteuid() != 0) GTEST_SKIP() << "the test's user is not root";
  EXPECT_THAT(warnings_of("/bin/sh"), IsEmpty());
  host_.direct = true;
  EXPECT_THAT(warnings_of("/bin/sh"),
              ElementsAre(HasSubstr("it would run as root, as hostcalld does; if that is meant, "
                                    "write \"user\": \"root\"")));
}

TEST_F(ServiceWarnings, SocketsThatAreHostcalldsOwn) {
  Config config;
  config.admin_socket = directory_ / "admin.sock";
  host_.add(config);
  host_.add(VmRecord{.name = "web1", .unix_path = directory_ / "web1.sock"});
  host_.add(VmRecord{.name = "web2", .unix_path = "@web2"});
  host_.add(VmRecord{.name = "web3", .cid = 42});
  EXPECT_THAT(warnings(R"("socket": "unix:)" + config.admin_socket + "\""),
              ElementsAre(place() + "its calls fail, because \"" + config.admin_socket +
                          "\" is hostcalld's own socket: the admin socket"));
  EXPECT_THAT(warnings(R"("socket": "unix:@web2")"), ElementsAre(HasSubstr("the listener of VM \"web2\"")));
  ASSERT_EQ(::symlink("web1.sock", (directory_ / "link").c_str()), 0);
  ASSERT_EQ(::symlink(".", (directory_ / "here").c_str()), 0);
  for (const auto* spelling : {"web1.sock", "link", "here/web1.sock", "./web1.sock"})
    EXPECT_THAT(warnings(R"("socket": "unix:)" + (directory_ / spelling) + "\""),
                ElementsAre(HasSubstr("the listener of VM \"web1\"")))
        << spelling;
  EXPECT_THAT(warnings(R"("socket": "unix:)" + (directory_ / "other.sock") + "\""), IsEmpty());
  directory_.write("services.d/a.json", R"({"service": "acme.v1.X", "ttrpc": "unix:)" + config.admin_socket + "\"}");
  EXPECT_THAT(service_warnings(Services::read({directory_ / "services.d"}), host_),
              ElementsAre(HasSubstr("the service acme.v1.X: its calls fail")));
}

TEST_F(ServiceWarnings, UsersThatDoNotExist) {
  const auto expected = ElementsAre(place() + "there is no user \"no-such-user\" at present");
  EXPECT_THAT(warnings_of(program(), R"(, "user": "no-such-user")"), expected);
  EXPECT_THAT(warnings(R"("socket": "unix:/x.sock", "user": "no-such-user")"), expected);
  EXPECT_THAT(warnings_of(program(), R"(, "user": "root")"), IsEmpty());
}

}  // namespace
}  // namespace hostcall::daemon
