// Documents: JSON texts from standard input, or from an argument, one per line or as a whole, read no later than a
// deadline.
#pragma once

#include <optional>
#include <string>

#include "proto/base/clock.h"

namespace hostcall::cli {

class Documents {
 public:
  // Reads the descriptor, which stays the caller's; -1: there is nothing to read after `text`.
  explicit Documents(int fd, std::string text = {}) : fd_(fd), text_(std::move(text)) {}

  // Everything up to the end. Throws Failure: the deadline passed, or a read failed.
  std::string all(TimePoint deadline);

  // The next line that is not blank, among those that are here. Nothing: read more, or there is none (ended()).
  std::optional<std::string> next_line();
  // Whether all lines have been given.
  bool ended() const { return fd_ < 0 && text_.empty(); }
  // What to wait for (POLLIN); -1: nothing.
  int fd() const { return fd_; }
  // Takes what there is to read; call it when fd() is readable. Throws Failure.
  void read_some();

 private:
  int fd_;
  std::string text_;
};

}  // namespace hostcall::cli
