// A Budget with a limit. Records the current charge and its maximum.
#pragma once

#include <algorithm>
#include <cassert>
#include <cstddef>

#include "proto/wire/budget.h"

namespace hostcall::test {

class CountingBudget final : public wire::Budget {
 public:
  explicit CountingBudget(std::size_t limit = SIZE_MAX) : limit_(limit) {}

  bool try_charge(std::size_t bytes) override {
    if (bytes > limit_ - charged_) return false;
    charged_ += bytes;
    peak_ = std::max(peak_, charged_);
    return true;
  }
  void release(std::size_t bytes) override {
    assert(bytes <= charged_);
    charged_ -= bytes;
  }
  std::size_t charged() const { return charged_; }
  std::size_t peak() const { return peak_; }

 private:
  std::size_t limit_;
  std::size_t charged_ = 0;
  std::size_t peak_ = 0;
};

}  // namespace hostcall::test
