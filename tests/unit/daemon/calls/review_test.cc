// What policy decides again after a reload: every open call, but little in one turn.
#include "daemon/calls/review.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>

#include "tests/unit/daemon/calls/session_fixture.h"

namespace hostcall::daemon {
namespace {

using test::kEchoStream;
using test::WireClient;

constexpr int kPeers = 4;
constexpr int kCallsOfAPeer = 500;
constexpr std::uint64_t kCalls = kPeers * kCallsOfAPeer;

test::RigOptions many_streams() {
  test::RigOptions options;
  options.limits.streams = kCalls;
  return options;
}

// Counts at the end of each turn the calls that web1 was denied in it, and calls `on_first` at the end of the first
// with any.
class Turns final : public TurnEnd {
 public:
  explicit Turns(test::Rig& rig) : rig_(rig) { rig_.reactor.at_turn_end(*this); }
  ~Turns() override { rig_.reactor.forget(*this); }
  std::uint64_t most = 0;
  std::function<void()> on_first = [] {};

 private:
  void on_turn_end() override {
    const auto denied = rig_.vm("web1").counts.denied;
    if (before_ == 0 && denied != 0) on_first();
    most = std::max(most, denied - before_);
    before_ = denied;
    if (++turns_ < kTurns) rig_.reactor.at_turn_end(*this);
  }
  static constexpr int kTurns = 2000;
  test::Rig& rig_;
  std::uint64_t before_ = 0;
  int turns_ = 0;
};

class ReviewTest : public test::SessionTest {
 protected:
  ReviewTest() : SessionTest(many_streams()) {
    for (int i = 0; i < kPeers; ++i) {
      peers_.push_back(rig_.peer("web1"));
      peers_.back()->hello();
      for (int call = 0; call < kCallsOfAPeer; ++call)
        (void)peers_.back()->start(kEchoStream, "", wire::Shape::kBidiStream);
    }
    rig_.settle();
  }
  void write(const std::string& rules) { rig_.write_policy(R"({"rules": [)" + rules + kOther + "]}"); }
  void reload(const std::string& rules) {
    write(rules);
    ASSERT_TRUE(rig_.reload().ok());
  }

  static constexpr char kOther[] = R"({"vms": ["*"], "calls": ["*"], "action": "allow"})";
  static constexpr char kDeny[] =
      R"({"vms": ["web1"], "calls": ["hostcall.v1.Diagnostics/EchoStream"], "action": "deny"},)";
  std::vector<std::unique_ptr<WireClient>> peers_;
};

TEST_F(ReviewTest, ManyCallsTakeManyTurnsEvenIfPolicyChangesAgain) {
  ASSERT_EQ(used(Resource::kStreams), kCalls);
  Turns turns(rig_);
  turns.on_first = [this] {
    write("");
    rig_.server.reload({});
  };
  reload(kDeny);
  EXPECT_EQ(rig_.stats.reloads, 2u);
  EXPECT_EQ(rig_.vm("web1").counts.denied, kCalls) << "the next policy waits until the one that denies has ended all";
  EXPECT_EQ(used(Resource::kStreams), 0u);
  EXPECT_LE(turns.most, static_cast<std::uint64_t>(kPhaseUnits));
}

TEST_F(ReviewTest, RulesAreWorkToo) {
  constexpr std::size_t kCost = 100;
  std::string rules;
  for (std::size_t i = 0; i < kCost * kRulesPerUnit; ++i)
    rules += R"({"vms": ["web1"], "calls": ["*"], "resources": ["*x"], "action": "allow"},)";
  Turns turns(rig_);
  reload(rules + kDeny);
  EXPECT_EQ(rig_.vm("web1").counts.denied, kCalls);
  EXPECT_LE(turns.most, static_cast<std::uint64_t>(kPhaseUnits) / kCost);
}

TEST_F(ReviewTest, CallsThatEndMeanwhileHideNoOthers) {
  Turns turns(rig_);
  turns.on_first = [this] {
    for (const auto& peer : peers_)
      for (std::uint32_t stream = 3; stream < kCallsOfAPeer; stream += 4) peer->cancel(stream);
    peers_[1].reset();
  };
  reload(kDeny);
  EXPECT_GT(rig_.vm("web1").counts.denied, kCalls / 2);
  EXPECT_LT(rig_.vm("web1").counts.denied, kCalls);
  EXPECT_EQ(used(Resource::kStreams), 0u);
}

}  // namespace
}  // namespace hostcall::daemon
