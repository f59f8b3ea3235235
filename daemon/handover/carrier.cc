#include "daemon/handover/carrier.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <iterator>
#include <optional>
#include <string>

#include "daemon/loop/descriptor_message.h"
#include "proto/base/bytes.h"
#include "proto/base/count.h"

namespace hostcall::daemon {
namespace {

constexpr std::size_t kMessageBytes = 12;
using Room = DescriptorRoom<kMaxMessageDescriptors>;

struct Label {
  std::uint32_t checksum = 0;
  std::size_t before = 0;
  std::size_t count = 0;  // 0: a token
};

std::string to_bytes(const Label& label) {
  std::string bytes;
  append_be32(bytes, label.checksum);
  append_be32(bytes, static_cast<std::uint32_t>(label.before));
  append_be32(bytes, static_cast<std::uint32_t>(label.count));
  return bytes;
}

// The kernel doubles it for its overhead, and a message takes about a KiB of that: enough for 100,000 descriptors.
void make_room(int fd) {
  constexpr int kBytes = 208 * 1024;
  (void)::setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &kBytes, sizeof kBytes);
}

Done send(int fd, const Label& label, std::span<const int> descriptors) {
  auto bytes = to_bytes(label);
  iovec piece{bytes.data(), bytes.size()};
  Room room;
  msghdr message{};
  message.msg_iov = &piece;
  message.msg_iovlen = 1;
  put_descriptors(descriptors, room.bytes, message);
  while (::sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
    if (errno != EINTR) return Error::from_errno("hand over descriptors");
  return done();
}

struct Received {
  Label label;
  std::vector<UniqueFd> descriptors;
};

// Takes the next message, or with MSG_PEEK looks at it. Nothing: there is none.
Result<std::optional<Received>> receive(int fd, int flags, std::span<char> room) {
  std::array<char, kMessageBytes> bytes{};
  iovec piece{bytes.data(), bytes.size()};
  msghdr message{};
  message.msg_iov = &piece;
  message.msg_iovlen = 1;
  message.msg_control = room.data();
  message.msg_controllen = room.size();
  ssize_t got = 0;
  while ((got = ::recvmsg(fd, &message, flags | MSG_DONTWAIT | MSG_CMSG_CLOEXEC)) < 0) {
    if (errno == EAGAIN) return std::optional<Received>();
    if (errno != EINTR) return Error::from_errno("receive from the carrier");
  }
  if (got == 0) return std::optional<Received>();
  Received received{.label = {}, .descriptors = take_descriptors(message)};
  if (static_cast<std::size_t>(got) != kMessageBytes || (message.msg_flags & MSG_TRUNC) != 0)
    return Error{0, "the carrier holds something else"};
  received.label = {load_be32(&bytes[0]), load_be32(&bytes[4]), load_be32(&bytes[8])};
  return std::optional(std::move(received));
}

// One attempt less.
Done take_token(int fd, std::uint32_t checksum) {
  const auto token = HOSTCALL_TRY(receive(fd, 0, {}));
  if (token && token->label.checksum != checksum) return Error{0, "the carrier belongs to another state"};
  if (!token || token->label.count != 0) return Error{0, "two daemons have failed to restore it"};
  return done();
}

// Where the next message belongs.
Done check(const Received& received, std::uint32_t checksum, std::size_t before, std::size_t all) {
  const auto& label = received.label;
  if (label.checksum != checksum) return Error{0, "the carrier belongs to another state"};
  if (label.before != before) return Error{0, "the carrier's messages are out of order"};
  if (label.count > all - before) return Error{0, "the carrier holds more than " + count(all, "descriptor")};
  if (received.descriptors.size() != label.count)
    return Error{0, "no file descriptors are left for the " + std::to_string(all) +
                        " in the carrier; raise LimitNOFILE= of hostcalld.service"};
  return done();
}

// Each look begins behind what the one before has shown.
Done look_from_the_start(int fd) {
  constexpr int kStart = 0;
  if (::setsockopt(fd, SOL_SOCKET, SO_PEEK_OFF, &kStart, sizeof kStart) != 0) return Error::from_errno("SO_PEEK_OFF");
  return done();
}

}  // namespace

Result<Carrier> load_carrier(std::uint32_t checksum, std::span<const int> descriptors) {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) != 0)
    return Error::from_errno("socketpair");
  Carrier carrier{.receiving = UniqueFd::adopt(ends[0]), .sending = UniqueFd::adopt(ends[1])};
  make_room(carrier.sending.get());
  for (int i = 0; i < kAttempts; ++i) HOSTCALL_TRY(send(carrier.sending.get(), {.checksum = checksum}, {}));
  for (std::size_t before = 0; before < descriptors.size();) {
    const auto part = descriptors.subspan(before, std::min(descriptors.size() - before, kMaxMessageDescriptors));
    HOSTCALL_TRY(send(carrier.sending.get(), {checksum, before, part.size()}, part));
    before += part.size();
  }
  return carrier;
}

bool is_held(const UniqueFd& sending) {
  pollfd peer{sending.get(), 0, 0};
  return ::poll(&peer, 1, 0) == 0;
}

Result<std::vector<UniqueFd>> unload_carrier(int receiving, std::uint32_t checksum, std::size_t descriptors) {
  HOSTCALL_TRY(take_token(receiving, checksum));
  HOSTCALL_TRY(look_from_the_start(receiving));
  std::vector<UniqueFd> taken;
  Room room;
  int tokens_left = kAttempts - 1;
  while (auto received = HOSTCALL_TRY(receive(receiving, MSG_PEEK, room.bytes))) {
    HOSTCALL_TRY(check(*received, checksum, taken.size(), descriptors));
    if (received->label.count == 0 && --tokens_left < 0) return Error{0, "the carrier's messages are out of order"};
    std::ranges::move(received->descriptors, std::back_inserter(taken));
  }
  if (taken.size() != descriptors)
    return Error{
        0, "the carrier holds " + count(taken.size(), "descriptor") + " instead of " + std::to_string(descriptors)};
  return taken;
}

}  // namespace hostcall::daemon
