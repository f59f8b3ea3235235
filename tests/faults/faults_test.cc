// Every call to the kernel fails once with each error that it can return. A run without a fault finds the calls.
// HOSTCALL_FAULT_DEPTH is how many callers tell one call site from another, HOSTCALL_FAULT_STEP the step of the loops
// over the k-th call. The defaults take a minute or two; `tests/run --long faults` takes them to their ends.
#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "tests/faults/fault_run.h"
#include "tests/support/sanitized.h"
#include "tests/support/seed.h"

namespace hostcall::test {
namespace {

std::uint32_t number_from(const char* variable, std::uint32_t usual) {
  const char* text = std::getenv(variable);
  return text == nullptr ? usual : static_cast<std::uint32_t>(std::stoul(text));
}

std::uint32_t depth() { return number_from("HOSTCALL_FAULT_DEPTH", kSanitized ? 1 : 3); }
std::uint32_t step() { return number_from("HOSTCALL_FAULT_STEP", kSanitized ? 29 : 7); }

std::string error_name(int error) { return error == FAULT_SHORT ? "a short transfer" : ::strerrorname_np(error); }

std::vector<fault_site> sites_of(FaultControl& control) {
  std::vector<fault_site> sites;
  for (const auto& site : control->sites)
    if (site.id != 0) sites.push_back(site);
  return sites;
}

TEST(Faults, EachCallFailsOnceWithEachErrorThatItCanReturn) {
  FaultRun plain(depth());
  plain.run({.countdown = 0});
  ASSERT_FALSE(HasFailure()) << "without any fault";
  const auto sites = sites_of(plain.control());
  int runs = 0, failures = 0;
  for (const auto& site : sites)
    for (const int error : fault_kinds[site.kind].errors) {
      if (error == 0) break;
      SCOPED_TRACE(error_name(error) + " from " + name_of(site));
      FaultRun run(depth());
      run.run({.site = site.id, .error = error});
      ++runs;
      failures += run.control()->failures != 0 ? 1 : 0;
    }
  std::printf("%zu call sites, %d runs, %d failures injected\n", sites.size(), runs, failures);
  EXPECT_GE(failures, runs * 9 / 10) << "most calls come again in the next run";
}

class KthCall : public testing::TestWithParam<Phase> {};

// Until there is no k-th call any more. Begins at random so that in the course of time each is met.
TEST_P(KthCall, Fails) {
  auto k = 1 + fresh_seed() % step();
  std::uint32_t failures = 0;
  for (bool failed = true; failed; k += step()) {
    SCOPED_TRACE("call " + std::to_string(k) + " of " + kPhaseNames[static_cast<std::size_t>(GetParam())] + " fails");
    FaultRun run(1);
    run.run({.countdown = k, .from = GetParam()});
    failed = run.control()->failures != 0;
    failures += run.control()->failures;
  }
  std::printf("%u failures injected\n", failures);
  EXPECT_GT(failures, 0u);
}

constexpr Phase kLooped[] = {Phase::kStart, Phase::kAccept, Phase::kCommit, Phase::kShutdown};
constexpr const char* kLoopNames[] = {"Start", "Accept", "Commit", "Shutdown"};

INSTANTIATE_TEST_SUITE_P(Of, KthCall, testing::ValuesIn(kLooped),
                         [](const auto& phase) { return std::string(kLoopNames[phase.index]); });

}  // namespace
}  // namespace hostcall::test
