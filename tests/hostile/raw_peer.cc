#include "tests/hostile/raw_peer.h"

#include <array>
#include <stdexcept>

#include "proto/net/socket.h"
#include "proto/wire/message.h"
#include "tests/support/patience.h"

namespace hostcall::test {

RawPeer::RawPeer(const std::string& socket_path) {
  auto fd = net::start_connect(*net::Address::parse("unix:" + socket_path), kPatience);
  if (fd.ok()) fd_ = std::move(*fd);
}

void RawPeer::flush() {
  while (is_open() && has_unsent()) {
    const iovec piece{unsent_.data() + sent_, unsent_.size() - sent_};
    const auto sent = net::send(fd_.get(), {&piece, 1}, net::kMaxUnixSendBytes);
    if (sent.ok() && sent.value() == 0) return;
    // What the daemon will not read any more is gone; what it has sent may still be unread.
    sent_ += sent.ok() ? sent.value() : unsent_.size() - sent_;
  }
  unsent_.clear();
  sent_ = 0;
}

void RawPeer::receive(const OnFrame& on_frame) {
  // Not on the stack: the reader keeps a view of it, which gcc 14 warns of.
  static thread_local std::array<char, 65536> buffer;
  const auto received = net::receive(fd_.get(), buffer);
  if (!received.ok() || received.value().end) return hang_up();
  reader_.feed({buffer.data(), received.value().bytes});
  while (const auto frame = reader_.next()) {
    on_frame(*frame);
    if (wants_checksums_ && frame->header.type == wire::FrameType::kResponse) reader_.expect_crc();
  }
  if (reader_.violation() != nullptr) throw std::runtime_error("the daemon sent " + reader_.violation()->text);
}

std::string word_of(const wire::Frame& frame) {
  switch (frame.header.type) {
    case wire::FrameType::kResponse: {
      const auto response = wire::parse_response(frame.data);
      return response ? wire::code_name(response->code) : "NotAResponse";
    }
    case wire::FrameType::kData: return (frame.header.flags & wire::kRemoteClosed) != 0 ? "End" : "Data";
    case wire::FrameType::kWindow: return "Window";
    case wire::FrameType::kPing: return "Ping";
    case wire::FrameType::kPong: return "Pong";
    case wire::FrameType::kGoaway: {
      const auto goaway = wire::decode_goaway(frame.data);
      return goaway ? "Goaway" + std::to_string(static_cast<unsigned>(goaway->reason)) : "NotAGoaway";
    }
    default: return "Type" + std::to_string(static_cast<unsigned>(frame.header.type));
  }
}

}  // namespace hostcall::test
