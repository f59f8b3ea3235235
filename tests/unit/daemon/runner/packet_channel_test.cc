// A channel on the reactor with a peer that the test plays.
#include "daemon/runner/packet_channel.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <optional>

namespace hostcall::daemon {
namespace {

class PacketChannelTest : public testing::Test, public PacketChannelObserver {
 protected:
  PacketChannelTest() {
    auto pair = packet_socket_pair();
    EXPECT_TRUE(pair.ok());
    peer_ = std::move(pair->second);
    channel_.emplace(reactor_, std::move(pair->first), *this);
  }
  void on_packet(ReceivedPacket packet) override { received_.emplace_back(packet.bytes); }
  void on_channel_closed(const std::string& why) override { closed_ = why; }

  std::vector<std::string> peer_takes_all() {
    std::vector<std::string> all;
    for (;;) {
      reactor_.run_ready();
      auto packet = receive_packet(peer_.get(), buffer_);
      if (!packet.ok() || !packet.value() || (*packet)->is_end) return all;
      all.emplace_back((*packet)->bytes);
    }
  }
  void peer_sends(const std::string& bytes) { EXPECT_TRUE(send_packet(peer_.get(), {bytes, {}}).value()); }

  Reactor reactor_;
  UniqueFd peer_;
  std::optional<PacketChannel> channel_;
  std::vector<std::string> received_;
  std::optional<std::string> closed_;
  std::vector<char> buffer_ = std::vector<char>(2 * kMaxPacketBytes);
};

TEST_F(PacketChannelTest, KeepsWhatTheSocketHasNoRoomFor) {
  std::vector<std::string> sent;
  for (char c = 'a'; c < 'm'; ++c) sent.emplace_back(kMaxPacketBytes, c);
  for (const auto& bytes : sent) channel_->send({bytes, {}});
  EXPECT_GT(channel_->unsent(), 0U);
  EXPECT_EQ(peer_takes_all(), sent);
  EXPECT_EQ(channel_->unsent(), 0U);
}

TEST_F(PacketChannelTest, TakesBackWhatIsUnsent) {
  const std::string large(kMaxPacketBytes, 'x');
  std::uint64_t request = 0;
  while (channel_->unsent() < 3) channel_->send({large, {}}, {.request = ++request});
  EXPECT_FALSE(channel_->drop_unsent(1)) << "it was sent";
  EXPECT_TRUE(channel_->drop_unsent(request - 1));
  EXPECT_EQ(peer_takes_all().size(), request - 1);
}

TEST_F(PacketChannelTest, ARequestThatWasSentIsNotTakenBackWithItsSignals) {
  const std::string large(kMaxPacketBytes, 'x');
  channel_->send({large, {}}, {.request = 1});
  std::uint64_t sent = 1;
  for (; channel_->unsent() == 0; ++sent) channel_->send({large, {}}, {.request = 2});
  channel_->send({"signal", {}}, {.request = 1, .signal = 15});
  EXPECT_TRUE(channel_->has_unsent({.request = 1, .signal = 15}));
  EXPECT_FALSE(channel_->has_unsent({.request = 1}));
  EXPECT_FALSE(channel_->drop_unsent(1));
  EXPECT_FALSE(channel_->has_unsent({.request = 1, .signal = 15}));
  EXPECT_EQ(peer_takes_all(), std::vector<std::string>(sent, large));
}

TEST_F(PacketChannelTest, NoticesThatItsPeerCloses) {
  peer_sends("last");
  peer_.reset();
  reactor_.run_ready();
  EXPECT_EQ(received_, std::vector<std::string>{"last"});
  EXPECT_EQ(closed_, "");
  EXPECT_FALSE(channel_->is_open());
}

// From within send(), nobody expects to be told.
TEST_F(PacketChannelTest, AFailedSendIsToldInTheNextTurn) {
  peer_.reset();
  channel_->send({"x", {}});
  EXPECT_EQ(closed_, std::nullopt);
  reactor_.run_ready();
  EXPECT_EQ(closed_, "send a packet: Broken pipe");
}

TEST_F(PacketChannelTest, ClosesAtATooLargePacket) {
  const std::string bytes(kMaxPacketBytes + 1, 'x');
  ASSERT_GT(::send(peer_.get(), bytes.data(), bytes.size(), 0), 0);
  reactor_.run_ready();
  EXPECT_EQ(closed_, "a packet has more than 131,072 bytes");
}

}  // namespace
}  // namespace hostcall::daemon
