// RawPeer: one connection to a VM's socket on which a test chooses every byte and sees every frame. Never waits.
// WireClient (tests/support) speaks the protocol instead.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "proto/base/unique_fd.h"
#include "proto/wire/reader.h"

namespace hostcall::test {

class RawPeer {
 public:
  using OnFrame = std::function<void(const wire::Frame&)>;

  // Connects. Not open if the daemon's queue of connections is full.
  explicit RawPeer(const std::string& socket_path);

  int fd() const { return fd_.get(); }
  // Whether the daemon's last byte has not been read yet.
  bool is_open() const { return static_cast<bool>(fd_); }
  void hang_up() { fd_.reset(); }
  // Queues bytes behind those that the socket has not taken yet.
  void queue(std::string_view bytes) { unsent_.append(bytes); }
  bool has_unsent() const { return sent_ < unsent_.size(); }
  // Sends what the socket takes.
  void flush();
  // Reads once, and passes on each frame that is complete. Frames behind the answer to Hello have checksums if asked
  // for.
  void receive(const OnFrame& on_frame);
  void expect_checksums() { wants_checksums_ = true; }

 private:
  UniqueFd fd_;
  std::string unsent_;
  std::size_t sent_ = 0;  // bytes of unsent_ that are sent
  wire::FrameReader reader_{wire::kMaxDataBytes, nullptr};
  bool wants_checksums_ = false;
};

// One word for what a frame says: the code of a Response, "Data", "End", "Window", "Ping", "Pong", "Goaway1".
std::string word_of(const wire::Frame& frame);

// The word for the end of a connection, beside those of frames.
inline constexpr char kClosed[] = "closed";

}  // namespace hostcall::test
