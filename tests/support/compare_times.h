// Checks claims about speed that hold on every machine: compares a time with a reference, both measured in turns in the
// same run, so that whatever else the machine does affects both.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <vector>

namespace hostcall::test {

using Nanoseconds = std::chrono::duration<double, std::nano>;

template <class Action>
Nanoseconds time_of(const Action& action) {
  const auto begin = std::chrono::steady_clock::now();
  action();
  return std::chrono::steady_clock::now() - begin;
}

inline Nanoseconds median(std::vector<Nanoseconds> times) {
  const auto middle = times.begin() + static_cast<std::ptrdiff_t>(times.size() / 2);
  std::ranges::nth_element(times, middle);
  return *middle;
}

// Whether `own` takes at most so many times as long as `reference`. Each call of them runs once and returns the time
// that counts. Repeats the measurement a few times before it fails, because something else may have used the processor
// during most of one.
template <class Own, class Reference>
testing::AssertionResult takes_at_most(double times, const Own& own, const Reference& reference) {
  constexpr int kTries = 5, kRounds = 21;
  Nanoseconds own_median{}, reference_median{};
  for (int left = kTries; left > 0; --left) {
    std::vector<Nanoseconds> own_times, reference_times;
    for (int round = 0; round < kRounds; ++round) {
      reference_times.push_back(reference());
      own_times.push_back(own());
    }
    own_median = median(own_times), reference_median = median(reference_times);
    if (own_median <= times * reference_median) break;
  }
  const double ratio = own_median / reference_median;
  std::printf("%.0f ns, %.2f of the reference's %.0f ns; at most %g are allowed\n", own_median.count(), ratio,
              reference_median.count(), times);
  return ratio <= times ? testing::AssertionSuccess()
                        : testing::AssertionFailure() << "it takes " << ratio << " times what the reference takes";
}

}  // namespace hostcall::test
