// Pieces: see pieces.h. Others may share the descriptors, so their O_NONBLOCK is left as it is.
#include "client/cli/pieces.h"

#include <fcntl.h>
#include <limits.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace hostcall::cli {
namespace {

bool is_transient(int error) { return error == EAGAIN || error == EINTR; }

bool is_writable(int fd) {
  pollfd event{fd, POLLOUT, 0};
  return ::poll(&event, 1, 0) > 0;
}

}  // namespace

Result<std::string_view> PieceReader::read(std::span<char> room) {
  const ssize_t got = ::read(fd_, room.data(), room.size());
  if (got > 0) return std::string_view(room.data(), static_cast<std::size_t>(got));
  if (got < 0 && is_transient(errno)) return std::string_view();
  // open_standard_fds() puts there what can't be read.
  if (got < 0 && !(errno == EBADF && fd_ == STDIN_FILENO)) return Error::from_errno(name_);
  fd_ = -1;
  return std::string_view();
}

PieceWriter::PieceWriter(const End& end) : fd_(end.fd), name_(end.name), kind_(Kind::kOther) {
  struct stat status {};
  if (::fstat(fd_, &status) != 0) return;
  if (S_ISREG(status.st_mode)) kind_ = Kind::kFile;
  if (S_ISSOCK(status.st_mode)) kind_ = Kind::kSocket;
}

Done PieceWriter::write(std::string& bytes) {
  std::size_t written = 0;
  while (written < bytes.size()) {
    const auto some = HOSTCALL_TRY(write_some(std::string_view(bytes).substr(written)));
    if (some == 0) break;
    written += some;
  }
  if (written == bytes.size()) return done();
  rest_ = std::move(bytes);
  offset_ = written;
  return done();
}

Done PieceWriter::write_on() {
  while (busy()) {
    const auto some = HOSTCALL_TRY(write_some(std::string_view(rest_).substr(offset_)));
    if (some == 0) return done();
    offset_ += some;
  }
  rest_ = {};  // with its memory: most connections are idle most of the time
  offset_ = 0;
  return done();
}

// A pipe that is writable takes PIPE_BUF bytes without waiting, whatever else it is.
Result<std::size_t> PieceWriter::write_some(std::string_view bytes) const {
  ssize_t some = 0;
  if (kind_ == Kind::kSocket)
    some = ::send(fd_, bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  else if (kind_ == Kind::kFile)
    some = ::write(fd_, bytes.data(), bytes.size());
  else if (is_writable(fd_))
    some = ::write(fd_, bytes.data(), std::min<std::size_t>(bytes.size(), PIPE_BUF));
  if (some < 0 && !is_transient(errno)) return Error::from_errno(name_);
  return static_cast<std::size_t>(std::max<ssize_t>(some, 0));
}

void PieceWriter::end() {
  if (kind_ == Kind::kSocket) ::shutdown(fd_, SHUT_WR);
  // The number of a standard descriptor must not become another one's.
  if (fd_ >= 0 && fd_ <= STDERR_FILENO) {
    const int nothing = ::open("/dev/null", O_RDWR | O_CLOEXEC);
    if (nothing >= 0) {
      ::dup2(nothing, fd_);
      ::close(nothing);
    }
  }
  fd_ = -1;
}

pollfd PieceWriter::event() const {
  if (busy()) return {.fd = fd_, .events = POLLOUT, .revents = 0};
  return {.fd = kind_ == Kind::kSocket ? -1 : fd_, .events = 0, .revents = 0};
}

}  // namespace hostcall::cli
