// The daemon's memory over the time of a soak, and whether it grows.
#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>

namespace hostcall::test {

class Samples {
 public:
  void add(std::size_t kib) { kib_.push_back(kib); }
  std::size_t size() const { return kib_.size(); }
  // Medians of the thirds: the first is the warm-up. Work comes and goes, so a single sample says little; what leaks
  // stays, and raises the median of the last third.
  std::size_t warm_up() const { return third(0); }
  std::size_t middle() const { return third(1); }
  std::size_t last() const { return third(2); }
  // What the last third may have over the middle one: what the heap's trimming and the mix of the work make of it.
  std::size_t tolerance_kib() const { return 1024 + middle() / 100; }
  bool grow() const { return last() > middle() + tolerance_kib(); }

 private:
  std::size_t third(std::size_t number) const {
    const auto at = [&](std::size_t end) { return kib_.begin() + static_cast<std::ptrdiff_t>(kib_.size() * end / 3); };
    std::vector<std::size_t> part(at(number), at(number + 1));
    if (part.empty()) return 0;
    const auto middle = part.begin() + static_cast<std::ptrdiff_t>(part.size() / 2);
    std::ranges::nth_element(part, middle);
    return *middle;
  }

  std::vector<std::size_t> kib_;
};

}  // namespace hostcall::test
