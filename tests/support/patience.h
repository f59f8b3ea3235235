// How long a test waits for what must come. It is a watchdog against hanging and says nothing about speed: a machine
// that is slow, busy or under a sanitizer turns no test red, so no test asserts that something took less than a certain
// time.
#pragma once

#include <chrono>
#include <thread>

namespace hostcall::test {

inline constexpr std::chrono::milliseconds kPatience = std::chrono::minutes(3);

// Looks again and again until the condition holds. False: patience has run out.
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
