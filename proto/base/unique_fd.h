// UniqueFd: the one owner of a file descriptor, from birth to close.
#pragma once

#include <unistd.h>

#include <utility>

namespace hostcall {

class UniqueFd {
 public:
  UniqueFd() = default;
  // Takes ownership of fd; -1 means none.
  static UniqueFd adopt(int fd) { return UniqueFd(fd); }
  UniqueFd(UniqueFd&& other) noexcept : fd_(other.release()) {}
  UniqueFd& operator=(UniqueFd&& other) noexcept {
    if (this != &other) {
      reset();
      fd_ = other.release();
    }
    return *this;
  }
  UniqueFd(const UniqueFd&) = delete;
  UniqueFd& operator=(const UniqueFd&) = delete;
  ~UniqueFd() { reset(); }

  int get() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }
  // Hands the descriptor to the caller, who must close it.
  [[nodiscard]] int release() { return std::exchange(fd_, -1); }
  void reset() {
    // close() is never repeated on EINTR: Linux has freed the descriptor by then.
    if (fd_ >= 0) ::close(std::exchange(fd_, -1));
  }

 private:
  explicit UniqueFd(int fd) : fd_(fd) {}
  int fd_ = -1;
};

}  // namespace hostcall
