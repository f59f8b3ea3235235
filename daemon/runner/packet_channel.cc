#include "daemon/runner/packet_channel.h"

#include <sys/socket.h>

#include <algorithm>
#include <utility>

namespace hostcall::daemon {
namespace {

// The others' turn comes after so many; the rest is read in the next turn.
constexpr int kPacketsPerTurn = 32;

}  // namespace

PacketChannel::PacketChannel(Reactor& reactor, UniqueFd socket, PacketChannelObserver& observer)
    : reactor_(reactor), socket_(std::move(socket)), observer_(observer), watched_(kReadable) {
  make_room_for_packets(socket_.get());
  if (!reactor_.add(socket_.get(), watched_, *this).ok()) socket_.reset();
}

void PacketChannel::send(Packet packet, PacketTag tag) {
  if (!is_open() || !broken_.empty()) return;
  unsent_.push_back({std::move(packet), tag});
  if (unsent_.size() == 1) flush();
}

bool PacketChannel::has_unsent(PacketTag tag) const {
  return std::ranges::find(unsent_, tag, &Unsent::tag) != unsent_.end();
}

bool PacketChannel::drop_unsent(std::uint64_t request) {
  const bool is_unsent = has_unsent({.request = request});
  std::erase_if(unsent_, [request](const Unsent& unsent) { return unsent.tag.request == request; });
  return is_unsent;
}

void PacketChannel::flush() {
  while (!unsent_.empty()) {
    const auto sent = send_packet(socket_.get(), unsent_.front().packet);
    if (!sent.ok()) {
      broken_ = sent.error().message();
      unsent_.clear();
      // Nobody is told from within send(): the socket is readable now, and on_io() does it.
      (void)::shutdown(socket_.get(), SHUT_RDWR);
      break;
    }
    if (!sent.value()) break;
    unsent_.pop_front();
  }
  watch();
}

void PacketChannel::watch() {
  const std::uint32_t wanted = kReadable | (unsent_.empty() ? 0 : kWritable);
  if (wanted != std::exchange(watched_, wanted)) reactor_.change(socket_.get(), wanted, *this);
}

void PacketChannel::close() {
  if (!is_open()) return;
  reactor_.remove(socket_.get());
  socket_.reset();
  unsent_.clear();
}

void PacketChannel::fail(const std::string& why) {
  close();
  observer_.on_channel_closed(why);
}

void PacketChannel::on_io(std::uint32_t events) {
  if (!is_open()) return;
  if (!broken_.empty()) return fail(broken_);
  if ((events & kWritable) != 0) flush();
  read();
}

void PacketChannel::read() {
  for (int i = 0; i < kPacketsPerTurn && is_open(); ++i) {
    auto received = receive_packet(socket_.get(), reactor_.buffer());
    // ECONNRESET: it has closed before it has read all.
    if (!received.ok()) return fail(received.error().code == ECONNRESET ? "" : received.error().message());
    auto& packet = received.value();
    if (!packet) return;
    if (packet->is_end) return fail({});
    observer_.on_packet(std::move(*packet));
  }
}

}  // namespace hostcall::daemon
