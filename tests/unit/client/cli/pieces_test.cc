// Descriptors read and written in pieces: never waiting, and what ends them.
#include "client/cli/pieces.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <csignal>

#include "tests/unit/client/cli/pipe.h"

namespace hostcall::cli {
namespace {

constexpr std::size_t kPipeBytes = 64 * 1024;

std::string read_from(PieceReader& reader, std::size_t most = kPieceBytes) {
  std::string room(most, '\0');
  return std::string(reader.read(room).value());
}

// Everything that is there now.
std::string drain(int fd) {
  ::fcntl(fd, F_SETFL, O_NONBLOCK);
  std::string all;
  std::array<char, 4096> buffer;
  for (ssize_t got = 0; (got = ::read(fd, buffer.data(), buffer.size())) > 0;)
    all.append(buffer.data(), static_cast<std::size_t>(got));
  return all;
}

struct SocketPair {
  SocketPair() {
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) std::abort();
    ours = UniqueFd::adopt(ends[0]);
    theirs = UniqueFd::adopt(ends[1]);
  }
  UniqueFd ours, theirs;
};

TEST(PieceReader, ReadsPiecesUpToTheEnd) {
  Pipe pipe;
  PieceReader reader({pipe.read_end(), "read"});
  pipe.write("abc");
  EXPECT_EQ(read_from(reader, 2), "ab");
  EXPECT_EQ(read_from(reader), "c");
  EXPECT_FALSE(reader.ended());
  pipe.close();
  EXPECT_EQ(read_from(reader), "");
  EXPECT_TRUE(reader.ended());
  EXPECT_EQ(reader.fd(), -1) << "poll() must not see it any more";
}

TEST(PieceReader, NothingThereIsNoEnd) {
  Pipe pipe;
  ::fcntl(pipe.read_end(), F_SETFL, O_NONBLOCK);
  PieceReader reader({pipe.read_end(), "read"});
  EXPECT_EQ(read_from(reader), "");
  EXPECT_FALSE(reader.ended());
}

TEST(PieceReader, WhatCantBeReadIsAnError) {
  const auto directory = UniqueFd::adopt(::open("/", O_RDONLY | O_CLOEXEC));
  PieceReader reader({directory.get(), "read a directory"});
  std::array<char, 8> room;
  const auto read = reader.read(room);
  ASSERT_FALSE(read.ok());
  EXPECT_EQ(read.error().message(), "read a directory: Is a directory");
}

TEST(PieceReader, AClosedStandardInputHasEnded) {
  const auto before = UniqueFd::adopt(::dup(STDIN_FILENO));
  const auto unreadable = UniqueFd::adopt(::open("/dev/null", O_WRONLY | O_CLOEXEC));
  ASSERT_EQ(::dup2(unreadable.get(), STDIN_FILENO), STDIN_FILENO);
  PieceReader reader(kStandardInput);
  EXPECT_EQ(read_from(reader), "");
  EXPECT_TRUE(reader.ended());
  if (before) ::dup2(before.get(), STDIN_FILENO);
}

// The pipe blocks, as the standard output of most programs does; a write that waited would hang the test.
TEST(PieceWriter, KeepsWhatAPipeDoesNotTake) {
  Pipe pipe;
  PieceWriter writer({pipe.write_end(), "write"});
  std::string sent;
  for (char c = 'a'; !writer.busy(); ++c) {
    std::string piece(10'000, c);
    sent += piece;
    ASSERT_TRUE(writer.write(piece).ok());
  }
  EXPECT_LE(sent.size(), kPipeBytes + 10'000);
  EXPECT_EQ(writer.event().events, POLLOUT);
  std::string seen;
  for (seen = drain(pipe.read_end()); writer.busy(); seen += drain(pipe.read_end()))
    ASSERT_TRUE(writer.write_on().ok());
  EXPECT_EQ(seen + drain(pipe.read_end()), sent);
}

TEST(PieceWriter, KeepsWhatASocketDoesNotTake) {
  SocketPair pair;
  PieceWriter writer({pair.ours.get(), "write"});
  std::size_t sent = 0;
  for (; !writer.busy(); sent += kPieceBytes) {
    std::string piece(kPieceBytes, 's');
    ASSERT_TRUE(writer.write(piece).ok());
  }
  std::size_t seen = 0;
  while (seen < sent) {
    seen += drain(pair.theirs.get()).size();
    ASSERT_TRUE(writer.write_on().ok());
  }
  EXPECT_FALSE(writer.busy());
}

TEST(PieceWriter, ShowsThatTheReaderHasGone) {
  Pipe pipe;
  PieceWriter writer({pipe.write_end(), "write"});
  auto event = writer.event();
  EXPECT_EQ(::poll(&event, 1, 0), 0);
  pipe.close_read_end();
  EXPECT_EQ(::poll(&event, 1, 0), 1);
}

TEST(PieceWriter, AGoneReaderOfASocketIsAnErrorWithoutASignal) {
  SocketPair pair;
  PieceWriter writer({pair.ours.get(), "write"});
  pair.theirs.reset();
  std::string piece = "lost";
  const auto written = writer.write(piece);
  ASSERT_FALSE(written.ok());
  EXPECT_EQ(written.error().code, EPIPE);
}

TEST(PieceWriter, TheEndOfASocketIsPassedOnAndTheOtherDirectionGoesOn) {
  SocketPair pair;
  PieceWriter writer({pair.ours.get(), "write"});
  PieceReader reader({pair.ours.get(), "read"});
  std::string piece = "last";
  ASSERT_TRUE(writer.write(piece).ok());
  writer.end();
  EXPECT_TRUE(writer.ended());
  PieceReader peer({pair.theirs.get(), "read"});
  EXPECT_EQ(read_from(peer), "last");
  EXPECT_EQ(read_from(peer), "");
  EXPECT_TRUE(peer.ended());
  ASSERT_EQ(::write(pair.theirs.get(), "back", 4), 4);
  EXPECT_EQ(read_from(reader), "back");
}

TEST(PieceWriter, TheEndOfStandardOutputKeepsItsNumberTaken) {
  Pipe pipe;
  const auto before = UniqueFd::adopt(::dup(STDOUT_FILENO));
  ASSERT_EQ(::dup2(pipe.write_end(), STDOUT_FILENO), STDOUT_FILENO);
  pipe.close();
  PieceWriter writer(kStandardOutput);
  writer.end();
  std::array<char, 1> room;
  EXPECT_EQ(::read(pipe.read_end(), room.data(), room.size()), 0) << "the reader sees the end";
  EXPECT_GE(::fcntl(STDOUT_FILENO, F_GETFD), 0);
  ::dup2(before.get(), STDOUT_FILENO);
}

TEST(PieceWriter, AFullDiskIsAnError) {
  const auto full = UniqueFd::adopt(::open("/dev/full", O_WRONLY | O_CLOEXEC));
  PieceWriter writer({full.get(), "write"});
  std::string piece = "x";
  EXPECT_EQ(writer.write(piece).error().code, ENOSPC);
}

}  // namespace
}  // namespace hostcall::cli
