// A pipe whose ends tests hold.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <string_view>

#include "proto/base/unique_fd.h"

namespace hostcall::cli {

class Pipe {
 public:
  Pipe() {
    int ends[2];
    if (::pipe(ends) != 0) std::abort();
    read_ = UniqueFd::adopt(ends[0]);
    write_ = UniqueFd::adopt(ends[1]);
  }
  int read_end() const { return read_.get(); }
  int write_end() const { return write_.get(); }
  void write(std::string_view text) {
    ASSERT_EQ(::write(write_.get(), text.data(), text.size()), static_cast<ssize_t>(text.size()));
  }
  void close() { write_.reset(); }
  void close_read_end() { read_.reset(); }

 private:
  UniqueFd read_, write_;
};

}  // namespace hostcall::cli
