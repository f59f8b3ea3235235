// Signals as a descriptor, and what ends a run.
#include "client/cli/interrupt.h"

#include <gtest/gtest.h>

#include "client/cli/output.h"
#include "tests/unit/client/cli/pipe.h"

namespace hostcall::cli {
namespace {

TEST(Interrupt, TakesItsSignalsWhileItLives) {
  const Interrupt interrupt{SIGINT, SIGTERM};
  EXPECT_FALSE(interrupt.has_come());
  EXPECT_EQ(interrupt.take(), 0);
  ::raise(SIGTERM);
  EXPECT_TRUE(interrupt.has_come());
  EXPECT_EQ(interrupt.take(), SIGTERM);
  EXPECT_FALSE(interrupt.has_come());
}

TEST(Interrupt, DropsWhatNobodyTook) {
  {
    const Interrupt interrupt{SIGINT};
    ::raise(SIGINT);
  }
  sigset_t pending;
  ::sigpending(&pending);
  EXPECT_EQ(::sigismember(&pending, SIGINT), 0);
}

TEST(Interrupt, LeavesWhatIsIgnoredAlone) {
  const auto before = std::signal(SIGHUP, SIG_IGN);
  {
    const Interrupt interrupt{SIGINT, SIGHUP};
    ::raise(SIGHUP);
    EXPECT_FALSE(interrupt.has_come()) << "nohup(1) starts programs so";
  }
  std::signal(SIGHUP, before);
}

TEST(LossOfReader, IsSeenWithoutWriting) {
  Pipe pipe;
  const int output = ::dup(STDOUT_FILENO);
  ASSERT_GE(output, 0);
  ASSERT_EQ(::dup2(pipe.write_end(), STDOUT_FILENO), STDOUT_FILENO);
  auto event = loss_of_reader();
  EXPECT_EQ(::poll(&event, 1, 0), 0);
  pipe.close_read_end();
  EXPECT_EQ(::poll(&event, 1, 0), 1);
  ::dup2(output, STDOUT_FILENO);
  ::close(output);
}

TEST(DieOfDeathTest, IsThatSignalAlsoWhereItIsBlockedOrIgnored) {
  EXPECT_EXIT(
      {
        const Interrupt interrupt{SIGINT};
        die_of(SIGINT);
      },
      testing::KilledBySignal(SIGINT), "");
  EXPECT_EXIT(
      {
        std::signal(SIGPIPE, SIG_IGN);
        die_of(SIGPIPE);
      },
      testing::KilledBySignal(SIGPIPE), "");
}

}  // namespace
}  // namespace hostcall::cli
