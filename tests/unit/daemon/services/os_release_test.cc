// os-release files as distributions and careless hands write them.
#include "daemon/services/os_release.h"

#include <gtest/gtest.h>

namespace hostcall::daemon {
namespace {

TEST(PrettyName, IsTheValueWithoutQuotes) {
  EXPECT_EQ(pretty_name("NAME=x\nPRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nID=debian\n"),
            "Debian GNU/Linux 12 (bookworm)");
  EXPECT_EQ(pretty_name("PRETTY_NAME=Plain"), "Plain");
  EXPECT_EQ(pretty_name("PRETTY_NAME='Single'"), "Single");
  EXPECT_EQ(pretty_name("PRETTY_NAME='It'\"'\"'s'"), "It's");
}

TEST(PrettyName, IsLinuxWithoutOne) {
  for (const char* text : {"", "\n", "PRETTY_NAME", "PRETTY_NAME=", "PRETTY_NAME=\"\"\r\n", "PRETTY_NAME=\"",
                           "#PRETTY_NAME=x\n", "MY_PRETTY_NAME=x\n", "PRETTY_NAMES=x\n"})
    EXPECT_EQ(pretty_name(text), "Linux") << text;
}

TEST(OsRelease, TakesTheLastAssignment) {
  EXPECT_EQ(os_release_value("A=1\nB=2\nA=3\n", "A"), "3");
  EXPECT_EQ(os_release_value("A=1\nA=\n", "A"), "");
}

TEST(OsRelease, IgnoresCarriageReturnsAndBlanksAroundALine) {
  EXPECT_EQ(os_release_value("A=\"x y\"\r\nB=2\r\n", "A"), "x y");
  EXPECT_EQ(os_release_value(" \tA=x \t\r\n", "A"), "x");
  EXPECT_EQ(os_release_value("A=\" x \"", "A"), " x ");
}

TEST(OsRelease, UnescapesAsAShellDoes) {
  EXPECT_EQ(os_release_value(R"(A="\"q\" \\ \$x \` \n")", "A"), R"("q" \ $x ` \n)");
  EXPECT_EQ(os_release_value(R"(A='\n \\')", "A"), R"(\n \\)");
  EXPECT_EQ(os_release_value(R"(A=a\ b\"c)", "A"), "a b\"c");
  EXPECT_EQ(os_release_value("A=x\\", "A"), "x\\");
}

TEST(OsRelease, AnOpenQuoteEndsWithItsLine) {
  EXPECT_EQ(os_release_value("A=\"x\nB=2\n", "A"), "x");
  EXPECT_EQ(os_release_value("A=\"x\nB=2\n", "B"), "2");
}

TEST(OsRelease, ReplacesWhatIsNotUtf8) {
  EXPECT_EQ(os_release_value("A=\"Caf\xe9 Linux\"\n", "A"), "Caf\xef\xbf\xbd Linux");
  EXPECT_EQ(os_release_value("A=\xff\xfe\n", "A"), "\xef\xbf\xbd\xef\xbf\xbd");
  EXPECT_EQ(os_release_value("A=Caf\xc3\xa9", "A"), "Caf\xc3\xa9");
}

}  // namespace
}  // namespace hostcall::daemon
