// Descriptors 0 to 2, in children whose own ones are closed.
#include "proto/base/standard_fds.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <cerrno>

#include "proto/base/try_write.h"

namespace hostcall {
namespace {

// Runs the function in a child that has the descriptors of the mask closed; its result is the child's exit code.
template <class Function>
int in_child(int closed, Function function) {
  const pid_t child = ::fork();
  if (child == 0) {
    for (int fd = 0; fd < 3; ++fd)
      if ((closed & 1 << fd) != 0) ::close(fd);
    ::_exit(function());
  }
  int status = 0;
  EXPECT_EQ(::waitpid(child, &status, 0), child);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST(StandardFds, AreNeverAnythingElses) {
  for (int closed = 0; closed < 8; ++closed) {
    const int next = in_child(closed, [] {
      open_standard_fds();
      return ::socket(AF_UNIX, SOCK_STREAM, 0);
    });
    EXPECT_GE(next, 3) << closed;
  }
}

TEST(StandardFds, AClosedOneStaysAnErrorToUse) {
  EXPECT_EQ(in_child(7,
                     [] {
                       open_standard_fds();
                       char byte = 0;
                       if (::read(0, &byte, 1) >= 0 || errno != EBADF) return 1;
                       if (::write(1, &byte, 1) >= 0 || errno != EBADF) return 2;
                       return ::write(2, &byte, 1) >= 0 || errno != EBADF ? 3 : 0;
                     }),
            0);
}

TEST(StandardFds, AnOpenOneIsLeftAlone) {
  EXPECT_EQ(in_child(0,
                     [] {
                       int ends[2];
                       if (::pipe(ends) != 0 || ::dup2(ends[1], 1) != 1) return 1;
                       open_standard_fds();
                       char byte = 'x';
                       return ::write(1, &byte, 1) == 1 && ::read(ends[0], &byte, 1) == 1 ? 0 : 2;
                     }),
            0);
}

TEST(StandardFds, ALibrarysDescriptorIsMovedAway) {
  EXPECT_EQ(in_child(6,
                     [] {
                       const auto made = adopt_above_standard_fds(::socket(AF_UNIX, SOCK_STREAM, 0), "socket");
                       if (!made.ok()) return 2;
                       const int fd = made.value().get();
                       const bool is_above = fd >= 3 && (::fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0;
                       return is_above && ::fcntl(1, F_GETFD) < 0 ? 0 : 1;
                     }),
            0);
  errno = EMFILE;
  EXPECT_EQ(adopt_above_standard_fds(-1, "socket").error().message(), "socket: Too many open files");
}

TEST(TryWrite, NeverWaitsForAReader) {
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  const auto reading = UniqueFd::adopt(ends[0]);
  const auto writing = UniqueFd::adopt(ends[1]);
  const std::string line(1000, 'x');
  int taken = 0;
  while (try_write(writing.get(), line)) ++taken;
  EXPECT_GT(taken, 10) << "until the pipe was full";
  int pair[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
  auto far = UniqueFd::adopt(pair[0]);
  const auto near = UniqueFd::adopt(pair[1]);
  while (try_write(near.get(), line)) {
  }
  far.reset();
  EXPECT_FALSE(try_write(near.get(), line)) << "and raises no signal";
}

}  // namespace
}  // namespace hostcall
