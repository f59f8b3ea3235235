// Input: what a verb reads, from standard input or from a file: no later than a deadline, and never more than one byte
// beyond what it takes.
#pragma once

#include <cstddef>
#include <string>

#include "proto/base/clock.h"
#include "proto/base/unique_fd.h"

namespace hostcall::cli {

class Input {
 public:
  // Nothing to read.
  Input() = default;
  // Reads a descriptor that stays the caller's.
  explicit Input(int fd, std::string name) : fd_(fd), name_(std::move(name)) {}
  static Input standard_input();
  // Does not wait for the writer of a FIFO. Throws Failure: usage, if the name is empty or the file can't be opened.
  static Input file(const std::string& path);

  // For messages: "standard input", or the file's name, escaped.
  const std::string& name() const { return name_; }
  // What to wait for (POLLIN); -1: all has been read.
  int fd() const { return fd_; }
  // Appends what there is to read; call it when fd() is readable. Throws Failure: the text has more than `max` bytes
  // now, or nothing can be read.
  void read_some(std::string& text, std::size_t max);
  // Everything up to the end, at most `max` bytes. Throws Failure: also when the deadline passed.
  std::string all(std::size_t max, TimePoint deadline);

 private:
  UniqueFd owned_;
  int fd_ = -1;
  std::string name_;
};

}  // namespace hostcall::cli
