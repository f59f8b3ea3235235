// Children with their descriptors, variables and ends.
#include "client/cli/child.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mman.h>

#include <cstdlib>

#include "proto/base/unique_fd.h"

namespace hostcall::cli {
namespace {

UniqueFd file_with(const std::string& text) {
  auto fd = UniqueFd::adopt(::memfd_create("child", MFD_CLOEXEC));
  EXPECT_EQ(::pwrite(fd.get(), text.data(), text.size(), 0), static_cast<ssize_t>(text.size()));
  return fd;
}

std::string text_of(const UniqueFd& file) {
  char buffer[4096];
  const auto got = ::pread(file.get(), buffer, sizeof buffer, 0);
  return got < 0 ? "unreadable" : std::string(buffer, static_cast<std::size_t>(got));
}

std::string end_of(const std::vector<std::string>& argv) {
  const auto pid = start_child(argv, {});
  if (!pid.ok()) return pid.error().message();
  const auto ended = reap_child(pid.value());
  return ended.ok() ? "" : ended.error().message();
}

TEST(Child, HasTheDescriptorsThatItIsGiven) {
  const auto input = file_with("hello\n");
  const auto output = file_with("");
  const auto errors = file_with("");
  const auto pid = start_child({"sh", "-c", "cat; echo oh >&2"},
                               {.input = input.get(), .output = output.get(), .errors = errors.get()});
  ASSERT_TRUE(pid.ok());
  EXPECT_TRUE(reap_child(pid.value()).ok());
  EXPECT_EQ(text_of(output), "hello\n");
  EXPECT_EQ(text_of(errors), "oh\n");
}

TEST(Child, HasOurVariablesAndItsOwn) {
  ::setenv("CHILD_TEST_OLD", "old", 1);
  ::setenv("CHILD_TEST_KEPT", "kept", 1);
  const auto output = file_with("");
  const auto pid =
      start_child({"sh", "-c", "env | grep ^CHILD_TEST_ | sort"},
                  {.output = output.get(), .environment = {{"CHILD_TEST_OLD", "new"}, {"CHILD_TEST_X", "a=b"}}});
  ASSERT_TRUE(pid.ok());
  EXPECT_TRUE(reap_child(pid.value()).ok());
  EXPECT_EQ(text_of(output), "CHILD_TEST_KEPT=kept\nCHILD_TEST_OLD=new\nCHILD_TEST_X=a=b\n");
}

TEST(Child, SaysHowItEnded) {
  EXPECT_EQ(end_of({"true"}), "");
  EXPECT_EQ(end_of({"sh", "-c", "exit 7"}), "exit code 7");
  EXPECT_EQ(end_of({"sh", "-c", "kill -TERM $$"}), "signal 15");
  EXPECT_EQ(end_of({"/nonexistent/program"}), "start /nonexistent/program: No such file or directory");
}

TEST(Child, HasAGroupOfItsOwnIfWanted) {
  const auto pid = start_child({"sh", "-c", "sleep 1000 & wait"}, {.own_group = true});
  ASSERT_TRUE(pid.ok());
  EXPECT_EQ(::getpgid(pid.value()), pid.value());
  EXPECT_FALSE(try_reap_child(pid.value()));
  ::kill(-pid.value(), SIGKILL);
  std::optional<Done> ended;
  while (!(ended = try_reap_child(pid.value()))) ::usleep(1000);
  ASSERT_FALSE(ended->ok());
  EXPECT_EQ(ended->error().message(), "signal 9");
}

TEST(Child, HasNoSignalBlocked) {
  sigset_t interrupt, before;
  sigemptyset(&interrupt);
  sigaddset(&interrupt, SIGINT);
  ::sigprocmask(SIG_BLOCK, &interrupt, &before);
  EXPECT_EQ(end_of({"sh", "-c", "kill -INT $$; exit 0"}), "signal 2");
  ::sigprocmask(SIG_SETMASK, &before, nullptr);
}

}  // namespace
}  // namespace hostcall::cli
