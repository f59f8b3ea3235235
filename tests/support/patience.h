// How long a test waits for what must happen. This is a watchdog against hangs, not a claim about speed: a slow or busy
// machine or a sanitizer fails no test, because no test asserts an absolute time.
#pragma once

#include <chrono>
#include <thread>

namespace hostcall::test {

inline constexpr std::chrono::milliseconds kPatience = std::chrono::minutes(3);

// Checks repeatedly until the condition holds. False: patience ran out.
template <class Condition>
bool eventually(const Condition& holds) {
  constexpr std::chrono::milliseconds kPause(5);
  const auto end = std::chrono::steady_clock::now() + kPatience;
  while (!holds()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(kPause);
  }
  return true;
}

}  // namespace hostcall::test
