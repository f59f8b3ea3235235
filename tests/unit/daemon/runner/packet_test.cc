// Packets and their descriptors over a real socket pair.
#include "daemon/runner/packet.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

namespace hostcall::daemon {
namespace {

class PacketTest : public testing::Test {
 protected:
  PacketTest() {
    auto pair = packet_socket_pair();
    EXPECT_TRUE(pair.ok());
    left_ = std::move(pair->first);
    right_ = std::move(pair->second);
  }
  Result<std::optional<ReceivedPacket>> receive() { return receive_packet(right_.get(), buffer_); }
  static std::vector<UniqueFd> some_descriptors(int count) {
    std::vector<UniqueFd> descriptors;
    for (int i = 0; i < count; ++i) descriptors.push_back(UniqueFd::adopt(::open("/dev/null", O_RDWR | O_CLOEXEC)));
    return descriptors;
  }

  UniqueFd left_, right_;
  std::vector<char> buffer_ = std::vector<char>(2 * kMaxPacketBytes);
};

TEST_F(PacketTest, KeepsItsBounds) {
  EXPECT_FALSE(receive().value().has_value()) << "none is waiting";
  ASSERT_TRUE(send_packet(left_.get(), {"one", {}}).value());
  ASSERT_TRUE(send_packet(left_.get(), {std::string(kMaxPacketBytes, 'x'), {}}).value());
  EXPECT_EQ(receive().value()->bytes, "one");
  EXPECT_EQ(receive().value()->bytes.size(), kMaxPacketBytes);
}

TEST_F(PacketTest, CarriesDescriptors) {
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  Packet packet{"take", {}};
  packet.descriptors.push_back(UniqueFd::adopt(ends[1]));
  ASSERT_TRUE(send_packet(left_.get(), packet).value());
  const auto reader = UniqueFd::adopt(ends[0]);
  auto received = receive();
  ASSERT_EQ(received.value()->descriptors.size(), 1U);
  const int fd = received.value()->descriptors[0].get();
  EXPECT_GT(fd, 2);
  EXPECT_EQ(::fcntl(fd, F_GETFD), FD_CLOEXEC);
  ASSERT_EQ(::write(fd, "x", 1), 1);
  char byte = 0;
  EXPECT_EQ(::read(reader.get(), &byte, 1), 1);
}

TEST_F(PacketTest, RefusesMoreThanItsBounds) {
  EXPECT_EQ(send_packet(left_.get(), {std::string(kMaxPacketBytes + 1, 'x'), {}}).error().code, EMSGSIZE);
  EXPECT_EQ(send_packet(left_.get(), {"x", some_descriptors(kMaxPacketDescriptors + 1)}).error().code, EMSGSIZE);
}

TEST_F(PacketTest, RefusesAPeersTooLargePacket) {
  const std::string bytes(kMaxPacketBytes + 1, 'x');
  ASSERT_EQ(::send(left_.get(), bytes.data(), bytes.size(), 0), static_cast<ssize_t>(bytes.size()));
  EXPECT_EQ(receive().error().message(), "a packet has more than 131,072 bytes");
}

// More descriptors than a control buffer has room for, or than are allowed: none stays open.
TEST_F(PacketTest, RefusesAPeersDescriptors) {
  for (const std::size_t count : {4U, 5U, 200U}) {
    std::vector<int> numbers(count, left_.get());
    std::vector<char> control(CMSG_SPACE(count * sizeof(int)));
    char byte = 'x';
    iovec piece{&byte, 1};
    msghdr message{};
    message.msg_iov = &piece;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    auto* const header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(count * sizeof(int));
    std::memcpy(CMSG_DATA(header), numbers.data(), count * sizeof(int));
    ASSERT_EQ(::sendmsg(left_.get(), &message, 0), 1);
    const int next = ::dup(left_.get());
    ::close(next);
    EXPECT_EQ(receive().error().message(), "a packet has more than 3 descriptors");
    const int same = ::dup(left_.get());
    ::close(same);
    EXPECT_EQ(next, same) << "the lowest free number is the same";
  }
}

TEST_F(PacketTest, TellsTheEnd) {
  ASSERT_TRUE(send_packet(left_.get(), {"last", {}}).value());
  left_.reset();
  EXPECT_EQ(receive().value()->bytes, "last");
  EXPECT_TRUE(receive().value()->is_end);
  EXPECT_EQ(send_packet(right_.get(), {"x", {}}).error().code, EPIPE);
}

TEST_F(PacketTest, NeverWaits) {
  const Packet packet{std::string(kMaxPacketBytes, 'x'), {}};
  int sent = 0;
  while (send_packet(left_.get(), packet).value()) ++sent;
  EXPECT_GE(sent, 1);
}

}  // namespace
}  // namespace hostcall::daemon
