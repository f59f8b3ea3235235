// Many well-behaved VMs beside a hostile one at full rate.
#include "tests/hostile/attacker.h"
#include "tests/hostile/bursts.h"
#include "tests/hostile/calls.h"
#include "tests/hostile/stage.h"

namespace hostcall::test {
namespace {

constexpr std::size_t kVms = 99;
constexpr int kConnections = 16;
constexpr double kMayLose = 0.0001;

void withstand(const Script& script) {
  Stage stage({}, kVms);
  stage.may_lose = kMayLose;
  Tally tally;
  stage.withstand([&] {
    const auto attacker = std::make_shared<Attacker>(stage.hostile_path(), script, kConnections, tally);
    return [attacker](std::chrono::milliseconds time) { attacker->run(time); };
  });
  EXPECT_GT(tally["OK"], 0u);
}

TEST(Crowd, IsServedBesideCallsAtFullRate) {
  withstand({.burst = block_of_calls([](std::uint32_t stream) { return raw_call(stream, "Session/Ping"); })});
}

TEST(Crowd, IsServedBesideCostlyCallsAtFullRate) {
  withstand({.burst = block_of_calls([](std::uint32_t stream) { return raw_call(stream, "Host/Metrics"); })});
}

}  // namespace
}  // namespace hostcall::test
