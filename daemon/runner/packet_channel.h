// PacketChannel: one end of the connection between hostcalld and hostcall-runner, on the reactor. Keeps packets that
// the socket has no room for.
#pragma once

#include <cstdint>
#include <deque>
#include <string>

#include "daemon/loop/reactor.h"
#include "daemon/runner/packet.h"

namespace hostcall::daemon {

// May close the channel from within each function, and retire it (Reactor::retire), but not destroy it.
class PacketChannelObserver {
 public:
  // The bytes are valid during the call.
  virtual void on_packet(ReceivedPacket packet) = 0;
  // The channel is closed. `why` is empty if the peer has closed it; otherwise what went wrong.
  virtual void on_channel_closed(const std::string& why) = 0;

 protected:
  ~PacketChannelObserver() = default;
};

// What a packet is about, for those that may take it back.
struct PacketTag {
  std::uint64_t request = 0;
  int signal = 0;  // 0: the packet is the request itself
  bool operator==(const PacketTag&) const = default;
};

class PacketChannel final : public IoHandler {
 public:
  // Takes over a non-blocking socket. Not open if the kernel has no room to watch it.
  PacketChannel(Reactor& reactor, UniqueFd socket, PacketChannelObserver& observer);
  ~PacketChannel() { close(); }
  PacketChannel(const PacketChannel&) = delete;
  PacketChannel& operator=(const PacketChannel&) = delete;

  // Sends the packet, or keeps it until there is room. If that fails, the channel closes in the next turn. No-op once
  // closed.
  void send(Packet packet, PacketTag tag = {});
  // Takes back what send() has kept about this request. True: the request itself too; otherwise it was sent.
  bool drop_unsent(std::uint64_t request);
  bool has_unsent(PacketTag tag) const;
  std::size_t unsent() const { return unsent_.size(); }
  void close();
  bool is_open() const { return static_cast<bool>(socket_); }
  // Only while it is open.
  int descriptor() const { return socket_.get(); }

  void on_io(std::uint32_t events) override;

 private:
  struct Unsent {
    Packet packet;
    PacketTag tag;
  };
  void flush();
  void read();
  void watch();
  void fail(const std::string& why);

  Reactor& reactor_;
  UniqueFd socket_;
  PacketChannelObserver& observer_;
  std::deque<Unsent> unsent_;
  std::uint32_t watched_ = 0;
  std::string broken_;  // by a send; told in the next turn
};

}  // namespace hostcall::daemon
