// Callbacks of started calls: each runs once and is dropped, and the memory goes round.
#include <gtest/gtest.h>
#include <hostcall/kept_callbacks.h>

#include <array>
#include <memory>
#include <vector>

#include "tests/support/allocations.h"

namespace hostcall::detail {
namespace {

// Hands the function over as hostcall_start() would take it, and ends the call.
template <class Function>
void* keep_and_end(KeptCallbacks& callbacks, Function function) {
  void* user = callbacks.keep(std::move(function)).release();
  KeptCallbacks::on_end<Function>(user, nullptr);
  return user;
}

TEST(KeptCallbacks, AFunctionRunsOnceAndIsDropped) {
  KeptCallbacks callbacks;
  const auto calls = std::make_shared<int>();
  keep_and_end(callbacks, [calls](const hostcall_result*) { ++*calls; });
  EXPECT_EQ(*calls, 1);
  EXPECT_EQ(calls.use_count(), 1);
}

TEST(KeptCallbacks, OneWhoseCallWasNotBegunIsDropped) {
  KeptCallbacks callbacks;
  const auto calls = std::make_shared<int>();
  callbacks.keep([calls](const hostcall_result*) { ++*calls; });
  EXPECT_EQ(*calls, 0);
  EXPECT_EQ(calls.use_count(), 1);
}

TEST(KeptCallbacks, TheMemoryIsUsedAgain) {
  KeptCallbacks callbacks;
  int calls = 0;
  const auto count = [&calls](const hostcall_result*) { ++calls; };
  const auto* first = keep_and_end(callbacks, count);
  test::forget_allocations();
  EXPECT_EQ(keep_and_end(callbacks, count), first);
  EXPECT_EQ(test::largest_allocation(), 0u);
  EXPECT_EQ(calls, 2);
}

TEST(KeptCallbacks, TwoAtOnceDoNotShare) {
  KeptCallbacks callbacks;
  std::vector<int> order;
  keep_and_end(callbacks, [](const hostcall_result*) {});  // leaves a block
  const auto outer = [&](const hostcall_result*) {
    keep_and_end(callbacks, [&order](const hostcall_result*) { order.push_back(1); });
    order.push_back(2);
  };
  keep_and_end(callbacks, outer);
  EXPECT_EQ(order, (std::vector<int>{1, 2}));
}

TEST(KeptCallbacks, ALargeFunctionHasMemoryOfItsOwn) {
  KeptCallbacks callbacks;
  std::array<char, 500> large{};
  large.back() = 'x';
  char last = 0;
  test::forget_allocations();
  keep_and_end(callbacks, [large, &last](const hostcall_result*) { last = large.back(); });
  EXPECT_EQ(last, 'x');
  EXPECT_GE(test::largest_allocation(), sizeof large);
}

TEST(KeptCallbacks, MoreThanAreKeptAreFreed) {
  KeptCallbacks callbacks;
  int calls = 0;
  const auto count = [&calls](const hostcall_result*) { ++calls; };
  std::vector<void*> begun;
  for (int i = 0; i < 3'000; ++i) begun.push_back(callbacks.keep(count).release());
  for (void* user : begun) KeptCallbacks::on_end<std::remove_const_t<decltype(count)>>(user, nullptr);
  EXPECT_EQ(calls, 3'000);
  test::forget_allocations();
  begun.clear();
  for (int i = 0; i < 1'000; ++i) keep_and_end(callbacks, count);
  EXPECT_EQ(test::largest_allocation(), 0u);
}

}  // namespace
}  // namespace hostcall::detail
