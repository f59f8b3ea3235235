// The connection's window, which all streams share, and how an option widens it.
#include <gtest/gtest.h>

#include <memory>

#include "tests/unit/client/lib/rig.h"

namespace hostcall::test {
namespace {

using wire::SendOutcome;

constexpr int kStreams = 20;

// How many of the streams can still have a message once each before has as many as its window takes, and nobody takes
// any. The script has 64 KiB for a stream and 256 KiB for the connection.
int streams_that_get_through(std::size_t max_unread_bytes) {
  Rig rig(extended_script(), [&](client::ChannelOptions& options) { options.max_unread_bytes = max_unread_bytes; });
  std::vector<std::unique_ptr<TestCall>> streams;
  int through = 0;
  for (int i = 0; i < kStreams; ++i) {
    streams.push_back(std::make_unique<TestCall>("a.B/S", "", wire::Shape::kServerStream));
    rig.begin(*streams.back());
    rig.pump();
    auto& host = rig.host.connection();
    int sent = 0;
    while (host.send(host.calls.back(), std::string(16 * 1024, 'x')) == SendOutcome::kSent) {
      rig.pump();
      ++sent;
    }
    through += sent >= 4 ? 1 : 0;
  }
  EXPECT_TRUE(rig.host.connection().open());
  return through;
}

TEST(ChannelWindow, StreamsThatAreNotTakenHoldUpOthers) {
  EXPECT_LT(streams_that_get_through(client::ChannelOptions::kDefaultUnreadBytes), 6);
}

TEST(ChannelWindow, MoreUnreadBytesWidenIt) { EXPECT_EQ(streams_that_get_through(4u << 20), kStreams); }

TEST(ChannelWindow, ItHasNoMoreThanTheProtocolAllows) { EXPECT_EQ(streams_that_get_through(UINT32_MAX), kStreams); }

TEST(ChannelWindow, TakingAMessageIsWorkOnlyIfCreditIsDue) {
  Rig rig(extended_script());
  TestCall stream("a.B/S", "", wire::Shape::kServerStream);
  rig.begin(stream);
  rig.pump();
  auto& host = rig.host.connection();
  const auto send_and_take = [&](std::size_t bytes) {
    ASSERT_EQ(host.send(host.calls.back(), std::string(bytes, 'x')), SendOutcome::kSent);
    rig.pump();
    ASSERT_EQ(rig.channel->take(stream.call).size(), bytes);
  };
  send_and_take(10);
  EXPECT_GT(rig.channel->next_timeout(), rig.now);
  send_and_take(60 * 1024);
  EXPECT_LT(rig.channel->next_timeout(), rig.now);
}

}  // namespace
}  // namespace hostcall::test
