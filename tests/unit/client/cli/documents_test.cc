// JSON documents from a pipe or an argument.
#include "client/cli/documents.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <string_view>

#include "client/cli/exit_code.h"
#include "proto/base/unique_fd.h"

namespace hostcall::cli {
namespace {

class Pipe {
 public:
  Pipe() {
    int ends[2];
    if (::pipe(ends) != 0) std::abort();
    read_ = UniqueFd::adopt(ends[0]);
    write_ = UniqueFd::adopt(ends[1]);
  }
  int read_end() const { return read_.get(); }
  void write(std::string_view text) {
    ASSERT_EQ(::write(write_.get(), text.data(), text.size()), static_cast<ssize_t>(text.size()));
  }
  void close() { write_.reset(); }

 private:
  UniqueFd read_, write_;
};

TEST(Documents, AnArgumentIsReadAtOnce) {
  Documents documents(-1, "{\"a\": 1}");
  EXPECT_FALSE(documents.ended());
  EXPECT_EQ(documents.all(Clock::now()), "{\"a\": 1}");
  EXPECT_TRUE(documents.ended());
}

TEST(Documents, AllReadsToTheEnd) {
  Pipe pipe;
  pipe.write("{\n");
  pipe.write("}\n");
  pipe.close();
  EXPECT_EQ(Documents(pipe.read_end()).all(kNever), "{\n}\n");
}

TEST(Documents, AllEndsWithTheDeadline) {
  Pipe pipe;
  pipe.write("{");
  try {
    Documents(pipe.read_end()).all(Clock::now() + milliseconds(10));
    FAIL() << "nothing was thrown";
  } catch (const Failure& failure) {
    EXPECT_EQ(failure.code, ExitCode::kDeadline);
  }
}

TEST(Documents, LinesComeOneByOneAndBlankOnesNotAtAll) {
  Documents documents(-1, "a\n\n \t\r\nb\nc");
  EXPECT_EQ(documents.next_line(), "a");
  EXPECT_EQ(documents.next_line(), "b");
  EXPECT_EQ(documents.next_line(), "c");
  EXPECT_EQ(documents.next_line(), std::nullopt);
  EXPECT_TRUE(documents.ended());
}

TEST(Documents, ALineIsGivenWhenItIsComplete) {
  Pipe pipe;
  Documents documents(pipe.read_end());
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

}  // namespace
}  // namespace hostcall::cli
