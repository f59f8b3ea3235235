// The newest records: their order over all lanes, their bounds, and what a slow reader is told.
#include "daemon/vms/events.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace hostcall::daemon {
namespace {

using ::testing::ElementsAre;

std::int64_t now_micros = 0;
std::int64_t manual_micros() { return now_micros; }

class EventsTest : public testing::Test {
 protected:
  EventsTest() { now_micros = 1'000'000; }
  void record(MessageId id, const std::string& text) { events_.on_record(Level::kInfo, id, text, {{"VM", "web1"}}); }
  // All that is left behind the position.
  std::vector<std::string> rest(Events::Position& position, std::uint64_t& lost) const {
    std::vector<std::string> texts;
    while (const auto* event = events_.next(position, lost)) texts.push_back(event->text);
    return texts;
  }
  Events::Position behind(std::uint64_t number) const {
    bool lost = false;
    return events_.behind(number, lost);
  }
  Events events_{manual_micros};
};

TEST_F(EventsTest, ComeInTheOrderInWhichTheyWereRecorded) {
  record(MessageId::kStarted, "a");
  record(MessageId::kCallDenied, "b");
  now_micros = 500'000;  // the host's clock was set back
  record(MessageId::kSessionOpened, "c");
  record(MessageId::kStarted, "d");
  auto position = behind(0);
  std::uint64_t lost = 0;
  EXPECT_THAT(rest(position, lost), ElementsAre("a", "b", "c", "d"));
  EXPECT_EQ(lost, 0u);
  EXPECT_EQ(events_.newest(), 1'000'003u);
  record(MessageId::kCallMade, "e");
  EXPECT_THAT(rest(position, lost), ElementsAre("e"));
  position = behind(1'000'001);
  EXPECT_THAT(rest(position, lost), ElementsAre("c", "d", "e"));
}

TEST_F(EventsTest, GuestsPushOutNothingThatAdministratorsDid) {
  record(MessageId::kAdminAction, "who did what");
  auto slow = behind(0);
  for (std::size_t i = 0; i < 3 * Events::kMaxRecords; ++i) record(MessageId::kCallDenied, std::to_string(i));
  std::uint64_t lost = 0;
  const auto texts = rest(slow, lost);
  EXPECT_EQ(lost, 2 * Events::kMaxRecords);
  ASSERT_EQ(texts.size(), 1 + Events::kMaxRecords);
  EXPECT_EQ(texts.front(), "who did what");
  EXPECT_EQ(texts.back(), std::to_string(3 * Events::kMaxRecords - 1));
}

TEST_F(EventsTest, ALaneIsBoundedInBytes) {
  const std::string large(10'000, 'x');
  for (std::size_t i = 0; i < Events::kMaxRecords; ++i) record(MessageId::kViolation, large);
  auto position = behind(0);
  std::uint64_t lost = 0;
  std::size_t bytes = 0;
  while (const auto* event = events_.next(position, lost)) {
    EXPECT_LE(event->text.size(), kMaxRecordText + 3);
    bytes += event->bytes();
  }
  EXPECT_LE(bytes, Events::kMaxBytes);
  EXPECT_GT(bytes, Events::kMaxBytes / 2);
}

TEST_F(EventsTest, TextsAreEscaped) {
  events_.on_record(Level::kInfo, MessageId::kCallDenied, "two\nlines",
                    {{"VM", "web1"}, {"CALL", "\x1b[31m"}, {"RULE", ""}});
  auto position = behind(0);
  std::uint64_t lost = 0;
  const auto* event = events_.next(position, lost);
  ASSERT_NE(event, nullptr);
  EXPECT_EQ(event->text, "two\\x0alines");
  EXPECT_EQ(event->field("CALL"), "\\x1b[31m");
  EXPECT_EQ(event->fields.size(), 2u) << "an empty field says nothing";
}

TEST_F(EventsTest, WhoComesBackTooLateIsTold) {
  record(MessageId::kCallDenied, "first");
  const auto seen = events_.newest();
  bool lost = true;
  (void)events_.behind(seen, lost);
  EXPECT_FALSE(lost);
  for (std::size_t i = 0; i <= Events::kMaxRecords + 1; ++i) record(MessageId::kCallDenied, "more");
  (void)events_.behind(seen, lost);
  EXPECT_TRUE(lost);
  (void)events_.behind(events_.newest(), lost);
  EXPECT_FALSE(lost);
}

class Follower final : public EventFollower {
 public:
  explicit Follower(Events& events) : events_(events) {}
  int told = 0;

 private:
  void on_event() override {
    ++told;
    events_.wait(*this);
  }
  Events& events_;
};

TEST_F(EventsTest, AFollowerIsToldOnceForEachEvent) {
  Follower follower(events_);
  events_.wait(follower);
  record(MessageId::kStarted, "a");
  EXPECT_EQ(follower.told, 1) << "it waits for the next one from within";
  record(MessageId::kStarted, "b");
  EXPECT_EQ(follower.told, 2);
  {
    Follower gone(events_);
    events_.wait(gone);
  }
  record(MessageId::kStarted, "c");
  EXPECT_EQ(follower.told, 3);
}

TEST_F(EventsTest, EachKindHasANameOfItsOwn) {
  EXPECT_TRUE(is_event_kind("denied"));
  EXPECT_FALSE(is_event_kind("Denied"));
  EXPECT_EQ(event_kind(MessageId::kAdminAction), "admin");
  EXPECT_NE(event_kinds().find("store-full, store-recovered"), std::string::npos);
}

}  // namespace
}  // namespace hostcall::daemon
