// What verbs read: no later than the deadline, and no more than is taken.
#include "client/cli/input.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "client/cli/exit_code.h"
#include "tests/support/temp_dir.h"
#include "tests/unit/client/cli/pipe.h"

namespace hostcall::cli {
namespace {

constexpr milliseconds kSoon{50};

// Runs what must fail.
template <class Run>
Failure failure_of_run(const Run& run) {
  try {
    run();
  } catch (const Failure& failure) {
    return failure;
  }
  ADD_FAILURE() << "nothing was thrown";
  return {ExitCode::kDone, ""};
}

void expect_failure(const Failure& failure, ExitCode code, const std::string& text) {
  EXPECT_EQ(failure.code, code) << failure.text;
  EXPECT_NE(failure.text.find(text), std::string::npos) << failure.text;
}

TEST(Input, TakesExactlyWhatIsAllowed) {
  Pipe pipe;
  pipe.write("12345");
  pipe.close();
  EXPECT_EQ(Input(pipe.read_end(), "a pipe").all(5, kNever), "12345");
}

TEST(Input, ReadsOneByteBeyondTheBoundAndNoMore) {
  Pipe pipe;
  pipe.write("1234567");
  const auto failure = failure_of_run([&] { Input(pipe.read_end(), "a pipe").all(4, kNever); });
  expect_failure(failure, ExitCode::kUsage, "a pipe is larger than the maximum of 4 bytes");
  char rest[16];
  EXPECT_EQ(::read(pipe.read_end(), rest, sizeof rest), 2) << "the rest is left to others";
}

TEST(Input, AnEndlessFileEndsAtTheBoundOrTheDeadline) {
  expect_failure(failure_of_run([] { Input::file("/dev/zero").all(100'000, kNever); }), ExitCode::kUsage,
                 "/dev/zero is larger than the maximum of 100000 bytes");
  expect_failure(failure_of_run([] { Input::file("/dev/zero").all(SIZE_MAX / 2, Clock::now() + kSoon); }),
                 ExitCode::kDeadline, "/dev/zero did not end before the deadline");
}

TEST(Input, AFifoIsWaitedForUntilTheDeadline) {
  const test::TempDir dir;
  const auto path = dir / "fifo";
  ASSERT_EQ(::mkfifo(path.c_str(), 0600), 0);
  expect_failure(failure_of_run([&] { Input::file(path).all(10, Clock::now() + kSoon); }), ExitCode::kDeadline,
                 "fifo did not end");
  auto input = Input::file(path);
  auto writer = UniqueFd::adopt(::open(path.c_str(), O_WRONLY));
  ASSERT_EQ(::write(writer.get(), "abc", 3), 3);
  expect_failure(failure_of_run([&] { input.all(10, Clock::now() + kSoon); }), ExitCode::kDeadline, "nothing was sent");
  auto again = Input::file(path);
  ASSERT_EQ(::write(writer.get(), "abc", 3), 3);
  writer.reset();
  EXPECT_EQ(again.all(10, kNever), "abc");
}

TEST(Input, SaysWhatIsWrongWithAFile) {
  const test::TempDir dir;
  EXPECT_EQ(Input::file(dir.write("f", "text")).all(10, kNever), "text");
  EXPECT_EQ(Input::file(dir.write("empty", "")).all(0, kNever), "");
  expect_failure(failure_of_run([] { (void)Input::file(""); }), ExitCode::kUsage, "the name of a file is empty");
  expect_failure(failure_of_run([] { (void)Input::file("/none\n"); }), ExitCode::kUsage,
                 "/none\\x0a: cannot be opened: No such file");
  expect_failure(failure_of_run([&] { Input::file(dir.path()).all(10, kNever); }), ExitCode::kUsage, "Is a directory");
}

TEST(Input, WhatCanNotBeReadIsAFailure) {
  const auto unreadable = UniqueFd::adopt(::open("/dev/null", O_WRONLY));
  expect_failure(failure_of_run([&] { Input(unreadable.get(), "standard input").all(10, kNever); }),
                 ExitCode::kUnreachable, "standard input: cannot be read: Bad file descriptor");
}

}  // namespace
}  // namespace hostcall::cli
