// Descriptors that are read and written in pieces, for loops that carry bytes between them and the host: never more at
// once than there is room for, and never waiting for one of them.
#pragma once

#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "proto/base/result.h"

namespace hostcall::cli {

// The most that is read at once.
inline constexpr std::size_t kPieceBytes = 64 * 1024;

// A descriptor with its name for errors, static text. The descriptor stays the caller's.
struct End {
  int fd;
  const char* name;
};

inline constexpr End kStandardInput{STDIN_FILENO, "read from standard input"};
inline constexpr End kStandardOutput{STDOUT_FILENO, "write to standard output"};
inline constexpr End kStandardError{STDERR_FILENO, "write to standard error"};

class PieceReader {
 public:
  explicit PieceReader(const End& end) : fd_(end.fd), name_(end.name) {}
  // -1: it has ended.
  int fd() const { return fd_; }
  bool ended() const { return fd_ < 0; }
  // Reads once what there is; call it when fd() is readable. Empty: nothing was there, or it has ended. So has a
  // standard input that was closed when the program began.
  Result<std::string_view> read(std::span<char> room);

 private:
  int fd_;
  const char* name_;
};

// What the descriptor does not take at once waits here: one piece.
class PieceWriter {
 public:
  explicit PieceWriter(const End& end);
  // Whether bytes wait; then it takes no more.
  bool busy() const { return offset_ < rest_.size(); }
  // Writes what the descriptor takes now, and keeps the rest, with the memory of `bytes`. Error code EPIPE: the reader
  // has gone; on a pipe, SIGPIPE comes first.
  Done write(std::string& bytes);
  // Writes on; call it when event() has come. The same errors.
  Done write_on();
  // What to do after waiting for event(): write on, or without bytes that wait, tell the loss of the reader.
  Done on_event(const pollfd& event) {
    if (event.revents == 0) return done();
    return busy() ? write_on() : Error{EPIPE, "write"};
  }
  // Nothing follows: the reader sees the end. Not while busy().
  void end();
  bool ended() const { return fd_ < 0; }
  // For poll(2): room for what waits; else the loss of the reader, which sockets tell to those who read them.
  pollfd event() const;

 private:
  enum class Kind : std::uint8_t { kFile, kSocket, kOther };
  // 0: there is no room now.
  Result<std::size_t> write_some(std::string_view bytes) const;

  int fd_;
  const char* name_;
  Kind kind_;
  std::string rest_;
  std::size_t offset_ = 0;
};

}  // namespace hostcall::cli
