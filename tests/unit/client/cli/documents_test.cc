// JSON documents from a pipe or an argument.
#include "client/cli/documents.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "client/cli/exit_code.h"
#include "proto/base/unique_fd.h"
#include "tests/unit/client/cli/pipe.h"

namespace hostcall::cli {
namespace {

TEST(Documents, AnArgumentIsReadAtOnce) {
  Documents documents("{\"a\": 1}");
  EXPECT_FALSE(documents.ended());
  EXPECT_EQ(documents.all(Clock::now()), "{\"a\": 1}");
  EXPECT_TRUE(documents.ended());
}

TEST(Documents, AllReadsToTheEnd) {
  Pipe pipe;
  pipe.write("{\n");
  pipe.write("}\n");
  pipe.close();
  EXPECT_EQ(Documents(Input(pipe.read_end(), "a pipe")).all(kNever), "{\n}\n");
}

TEST(Documents, AllEndsWithTheDeadline) {
  Pipe pipe;
  pipe.write("{");
  try {
    Documents(Input(pipe.read_end(), "a pipe")).all(Clock::now() + milliseconds(10));
    FAIL() << "nothing was thrown";
  } catch (const Failure& failure) {
    EXPECT_EQ(failure.code, ExitCode::kDeadline);
    EXPECT_NE(failure.text.find("a pipe"), std::string::npos) << failure.text;
  }
}

TEST(Documents, LinesComeOneByOneAndBlankOnesNotAtAll) {
  Documents documents("a\n\n \t\r\nb\nc");
  EXPECT_EQ(documents.next_line(), "a");
  EXPECT_EQ(documents.next_line(), "b");
  EXPECT_EQ(documents.name_of_line(), "document 2 of the JSON") << "blank lines are none";
  EXPECT_EQ(documents.next_line(), "c");
  EXPECT_EQ(documents.name_of_line(), "document 3 of the JSON");
  EXPECT_EQ(documents.next_line(), std::nullopt);
  EXPECT_TRUE(documents.ended());
}

TEST(Documents, ALineIsGivenWhenItIsComplete) {
  Pipe pipe;
  Documents documents(Input(pipe.read_end(), "a pipe"));
  EXPECT_EQ(documents.next_line(), std::nullopt);
  pipe.write("{\"a\":");
  documents.read_some();
  EXPECT_EQ(documents.next_line(), std::nullopt);
  pipe.write("1}\n{}");
  documents.read_some();
  EXPECT_EQ(documents.next_line(), "{\"a\":1}");
  EXPECT_EQ(documents.next_line(), std::nullopt);
  EXPECT_FALSE(documents.ended());
  pipe.close();
  documents.read_some();
  EXPECT_EQ(documents.fd(), -1);
  EXPECT_EQ(documents.next_line(), "{}");
  EXPECT_EQ(documents.next_line(), std::nullopt);
  EXPECT_TRUE(documents.ended());
}

TEST(Documents, ALineHasABound) {
  const auto zero = UniqueFd::adopt(::open("/dev/zero", O_RDONLY));
  Documents documents(Input(zero.get(), "/dev/zero"));
  std::size_t rounds = 0;
  try {
    for (; rounds < Documents::kMaxBytes; ++rounds) {
      documents.read_some();
      ASSERT_EQ(documents.next_line(), std::nullopt);
    }
    FAIL() << "nothing was thrown";
  } catch (const Failure& failure) {
    EXPECT_EQ(failure.code, ExitCode::kUsage);
  }
}

TEST(Documents, AnArgumentMayNameStandardInput) {
  EXPECT_EQ(Documents::of_argument("{}").name(), "the JSON");
  EXPECT_EQ(Documents::of_argument("{}").fd(), -1);
  EXPECT_EQ(Documents::of_argument("-").name(), "the JSON of standard input");
  EXPECT_EQ(Documents::of_argument("-").fd(), STDIN_FILENO);
}

}  // namespace
}  // namespace hostcall::cli
