// Messages of streams that wait until the VM's outbound bytes have room for them: in which order they are sent, what it
// costs to look for them, and that nobody waits for ever for one that has ended.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "tests/support/frames.h"
#include "tests/unit/daemon/calls/session_fixture.h"

namespace hostcall::daemon::test {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using wire::Shape;
using Names = std::vector<std::string>;

constexpr std::size_t kKiB = 1024;
constexpr std::size_t kLarge = 250 * kKiB;
// Calls can begin, but no message of a stream can be sent.
constexpr std::size_t kNoRoom = 16 * kKiB;

// Each stream sends one message, of the size and under the name that its request says.
class RoomTest : public SessionTest {
 protected:
  class Sender final : public CallHandler {
   public:
    Sender(RoomTest& test, SessionFacts& session, const v1::SourceRequest& request)
        : test_(test), session_(session), name_(std::to_string(request.total_bytes())), bytes_(request.chunk_bytes()) {
      test_.senders_[name_] = this;
    }
    ~Sender() override { test_.senders_.erase(name_); }
    void start() override { send(); }
    void on_writable() override {
      test_.looks_.push_back(name_);
      if (test_.on_look) test_.on_look();
      session_.spend(test_.cost_);
      if (!test_.deferred_) send();
    }
    void send() {
      if (sent_) return call().pass();
      v1::Chunk chunk;
      chunk.set_data(std::string(bytes_, 's'));
      sent_ = call().send(chunk) == wire::SendOutcome::kSent;
      if (sent_) test_.sent_.push_back(name_);
    }
    void pass() { call().pass(); }
    void grow_to(std::size_t bytes) { bytes_ = bytes; }

   private:
    RoomTest& test_;
    SessionFacts& session_;
    const std::string name_;
    std::size_t bytes_;
    bool sent_ = false;
  };

  RoomTest() : SessionTest({}, [this](Router& router) { register_methods(*this, router); }) { leave(kNoRoom); }
  // Static, because the test is not constructed yet.
  static void register_methods(RoomTest& test, Router& router) {
    router.protocol<v1::Session::Hello>(Audience::kGuest);
    router.unary<v1::Session::Ping>(
        Audience::kGuest, [&test](const CallContext& context, const v1::PingRequest&, v1::PingResponse&) -> Status {
          if (context.caller.name() == "db1") test.looks_before_neighbour_ = test.looks_.size();
          return {};
        });
    router.handled<v1::Diagnostics::Source>(
        Audience::kGuest,
        [&test](const CallContext& context, const v1::SourceRequest& request, Handler& handler) -> Status {
          handler = std::make_unique<Sender>(test, context.session, request);
          return {};
        });
  }
  void TearDown() override {
    other_.reset();
    peers_.clear();
    SessionTest::TearDown();
  }
  Quota& quota() { return rig_.vm("web1").quota; }
  // All but so many of the VM's outbound bytes are in use otherwise.
  void leave(std::size_t bytes) {
    other_.set(quota().limits().outbound_bytes - bytes);
    rig_.settle();
  }
  WireClient& peer(std::size_t number) {
    while (peers_.size() <= number) peers_.push_back(rig_.peer("web1"));
    return *peers_[number];
  }
  // Begins the stream `name` on that connection.
  std::uint32_t send(std::size_t connection, unsigned name, std::size_t bytes) {
    v1::SourceRequest request;
    request.set_total_bytes(name);
    request.set_chunk_bytes(static_cast<std::uint32_t>(bytes));
    const auto stream = peer(connection).start(kSource, request.SerializeAsString(), Shape::kServerStream);
    rig_.settle();
    return stream;
  }
  Sender& sender(unsigned name) { return *senders_.at(std::to_string(name)); }

  std::map<std::string, Sender*> senders_;
  Names looks_, sent_;
  std::function<void()> on_look;
  std::optional<std::size_t> looks_before_neighbour_;
  Units cost_ = 0;
  bool deferred_ = false;  // on_writable() sends nothing
  Charge other_{quota(), Resource::kOutbound};
  std::vector<std::unique_ptr<WireClient>> peers_;
};

TEST_F(RoomTest, NobodyIsLookedAtBeforeItsMessageFits) {
  for (unsigned i = 0; i < 60; ++i) send(0, i, kLarge);
  EXPECT_THAT(sent_, IsEmpty());
  for (std::size_t left = kNoRoom; left < 500 * kKiB; left += 5 * kKiB) leave(left);
  EXPECT_THAT(looks_, IsEmpty()) << "again and again some room appeared, but not enough";
  leave(512 * kKiB);
  EXPECT_THAT(looks_, Not(IsEmpty()));
  EXPECT_EQ(looks_, sent_) << "no look is in vain";
  other_.reset();
  for (int i = 0; i < 1000 && sent_.size() < 60; ++i) {
    while (peer(0).pump(std::chrono::milliseconds(0))) continue;
    rig_.settle();
  }
  EXPECT_EQ(sent_.size(), 60u);
  EXPECT_LE(looks_.size(), 120u) << "a look at most for the VM's room, and one for the connection's";
}

TEST_F(RoomTest, IsGivenInTheOrderOfWaitingWhateverTheConnection) {
  send(0, 1, kLarge);
  send(1, 2, 10);
  send(2, 3, 10);
  send(3, 4, kLarge);
  send(1, 5, 10);
  leave(300 * kKiB);
  EXPECT_THAT(sent_, IsEmpty()) << "the small ones do not overtake";
  send(4, 6, 10);
  EXPECT_THAT(sent_, IsEmpty()) << "nor does one that comes now";
  leave(1024 * kKiB);
  EXPECT_THAT(sent_, ElementsAre("1", "2", "5", "3", "4", "6")) << "those of a connection together";
}

TEST_F(RoomTest, RepliesOfOtherCallsDoNotWait) {
  leave(300 * kKiB);
  send(0, 1, kLarge);
  EXPECT_TRUE(ping(peer(0)).status.ok());
  EXPECT_TRUE(ping(peer(1)).status.ok());
  EXPECT_THAT(sent_, IsEmpty());
}

TEST_F(RoomTest, ACallThatEndsInAnyPlaceHoldsUpNobody) {
  for (const unsigned ended : {0u, 1u, 2u}) {
    leave(kNoRoom);
    sent_.clear();
    peers_.clear();
    for (unsigned i = 0; i < 3; ++i) peer(i).hello();
    std::vector<std::uint32_t> streams;
    for (unsigned i = 0; i < 3; ++i) streams.push_back(send(i, i, kLarge));
    peer(ended).cancel(streams[ended]);
    rig_.settle();
    other_.reset();
    rig_.settle();
    auto expected = Names{"0", "1", "2"};
    expected.erase(expected.begin() + ended);
    EXPECT_EQ(sent_, expected);
  }
}

TEST_F(RoomTest, AConnectionThatEndsInAnyPlaceHoldsUpNobody) {
  for (const unsigned ended : {0u, 1u, 2u}) {
    leave(kNoRoom);
    sent_.clear();
    peers_.clear();
    for (unsigned i = 0; i < 6; ++i) send(i % 3, i, kLarge);
    peers_[ended].reset();
    rig_.settle();
    other_.reset();
    for (int i = 0; i < 20; ++i) {
      for (const auto& left : peers_)
        while (left && left->pump(std::chrono::milliseconds(0))) continue;
      rig_.settle();
    }
    EXPECT_EQ(sent_.size(), 4u);
    EXPECT_THAT(sent_, Not(testing::Contains(std::to_string(ended))));
  }
}

// Nothing comes back at that moment, but the next one fits.
TEST_F(RoomTest, TheEndOfTheFirstIsRoomForTheNext) {
  peer(0).hello();
  leave(300 * kKiB);
  const auto stream = send(0, 1, kLarge);
  send(1, 2, 10);
  EXPECT_THAT(sent_, IsEmpty());
  peer(0).cancel(stream);
  rig_.settle();
  EXPECT_THAT(sent_, ElementsAre("2"));
}

TEST_F(RoomTest, AMessageThatNeverFitsEndsItsCall) {
  auto limits = quota().limits();
  limits.outbound_bytes = 200 * kKiB;
  rig_.vm("web1").set_limits(limits);
  leave(200 * kKiB);
  const auto answer = peer(0).finish(send(0, 1, kLarge));
  EXPECT_EQ(answer.status.code, Code::kResourceExhausted);
  EXPECT_THAT(answer.status.message, HasSubstr("never fits"));
}

TEST_F(RoomTest, NewLimitsEndWhatNeverFitsAnyMore) {
  const auto stream = send(0, 1, kLarge);
  send(1, 2, 10);
  auto limits = quota().limits();
  limits.outbound_bytes = 200 * kKiB;
  rig_.vm("web1").set_limits(limits);
  rig_.settle();
  EXPECT_THAT(sent_, IsEmpty());
  leave(100 * kKiB);
  EXPECT_THAT(sent_, ElementsAre("2")) << "it was behind the one that has ended";
  const auto answer = peer(0).finish(stream);
  EXPECT_EQ(answer.status.code, Code::kResourceExhausted);
  EXPECT_THAT(answer.status.message, HasSubstr("never fits"));
}

TEST_F(RoomTest, IsKeptForWhoSendsLater) {
  deferred_ = true;
  send(0, 1, kLarge);
  leave(kLarge + 256 * kKiB + 8);
  EXPECT_THAT(looks_, ElementsAre("1"));
  send(1, 2, 10);
  EXPECT_THAT(sent_, IsEmpty()) << "the room is not free";
  sender(1).send();
  EXPECT_THAT(sent_, ElementsAre("1"));
  rig_.settle();
  EXPECT_THAT(looks_, ElementsAre("1", "2"));
}

TEST_F(RoomTest, IsFreeAgainIfItIsNotNeeded) {
  deferred_ = true;
  send(0, 1, kLarge);
  send(1, 2, kLarge);
  leave(512 * kKiB);
  EXPECT_THAT(looks_, ElementsAre("1"));
  sender(1).pass();
  rig_.settle();
  EXPECT_THAT(looks_, ElementsAre("1", "2"));
}

// It has had its turn, so it does not go behind the others again.
TEST_F(RoomTest, AMessageThatHasGrownMeanwhileIsTheNext) {
  deferred_ = true;
  send(0, 1, 10);
  send(1, 2, kLarge);
  send(2, 3, 10);
  leave(257 * kKiB);
  EXPECT_THAT(looks_, ElementsAre("1"));
  deferred_ = false;
  sender(1).grow_to(100 * kKiB);
  sender(1).send();
  leave(300 * kKiB);
  EXPECT_THAT(sent_, IsEmpty());
  leave(400 * kKiB);
  EXPECT_THAT(sent_, ElementsAre("1"));
  leave(1024 * kKiB);
  EXPECT_THAT(sent_, ElementsAre("1", "2", "3"));
}

// Otherwise others would take its room, again and again.
TEST_F(RoomTest, IsUsedEvenIfTheShareIsUsedUpMeanwhile) {
  cost_ = 10 * kShareUnits;
  for (unsigned i = 0; i < 4; ++i) send(i % 2, i, kLarge);
  leave(512 * kKiB);
  EXPECT_THAT(sent_, Not(IsEmpty()));
  EXPECT_EQ(looks_, sent_);
}

TEST_F(RoomTest, LooksAreWorkThatNeighboursDoNotWaitFor) {
  constexpr unsigned kStreams = 200;
  const auto neighbour = rig_.peer("db1");
  rig_.settle();
  cost_ = 50;
  for (unsigned i = 0; i < kStreams; ++i) send(i % 2, i, 10);
  bool called = false;
  on_look = [&] {
    if (!std::exchange(called, true)) neighbour->send_raw(test::ping_frame(1));
  };
  other_.reset();
  rig_.settle();
  EXPECT_EQ(sent_.size(), kStreams);
  ASSERT_TRUE(looks_before_neighbour_);
  EXPECT_LE(*looks_before_neighbour_, static_cast<std::size_t>((2 * kPhaseUnits + kShareUnits) / cost_));
}

}  // namespace
}  // namespace hostcall::daemon::test
