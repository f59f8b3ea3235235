// The raw socket's messages: a length of 4 bytes and as many bytes. A length of kBulk asks for a stream instead.
#pragma once

#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace hostcall::bench::raw {

inline constexpr std::size_t kPrefix = 4;
inline constexpr std::uint32_t kBulk = 0xFFFFFFFF;
inline constexpr std::size_t kBuffer = 64 * 1024;

// Follows kBulk. The side that sends the stream repeats the pattern of `chunk` bytes; the server acknowledges an upload
// with its size, 8 bytes.
struct Bulk {
  std::uint64_t bytes;
  std::uint64_t chunk;
  std::uint64_t upload;
};

inline void append_message(std::string& out, std::string_view payload) {
  const auto size = static_cast<std::uint32_t>(payload.size());
  out.append(reinterpret_cast<const char*>(&size), kPrefix);
  out.append(payload);
}

inline std::uint32_t length_at(const char* data) {
  std::uint32_t size = 0;
  std::memcpy(&size, data, kPrefix);
  return size;
}

// How a side waits: the bulk copy and the spinning mode share the loops below.
inline void wait_for(int fd, short events, bool spin) {
  if (spin) return;
  pollfd one{fd, events, 0};
  ::poll(&one, 1, -1);
}

// At least one byte. Throws at the end of the connection.
inline std::size_t receive_some(int fd, char* out, std::size_t most, bool spin = false) {
  for (;;) {
    const auto got = ::recv(fd, out, most, spin ? MSG_DONTWAIT : 0);
    if (got > 0) return static_cast<std::size_t>(got);
    if (got == 0 || (errno != EAGAIN && errno != EINTR)) throw std::runtime_error("the connection has ended");
    wait_for(fd, POLLIN, spin);
  }
}

inline void receive_all(int fd, char* out, std::size_t size, bool spin = false) {
  for (std::size_t at = 0; at < size;) at += receive_some(fd, out + at, size - at, spin);
}

inline void send_all(int fd, std::string_view data, bool spin = false) {
  while (!data.empty()) {
    const auto sent = ::send(fd, data.data(), data.size(), MSG_NOSIGNAL | (spin ? MSG_DONTWAIT : 0));
    if (sent >= 0) {
      data.remove_prefix(static_cast<std::size_t>(sent));
    } else if (errno == EAGAIN || errno == EINTR) {
      wait_for(fd, POLLOUT, spin);
    } else {
      throw std::runtime_error("the connection has ended");
    }
  }
}

// What has come and was not taken yet. Its memory stays: a fresh one would have to be cleared for each read.
class Input {
 public:
  Input() : memory_(kBuffer * 2) {}
  void receive(int fd, bool spin) { end_ += receive_some(fd, memory_.data() + end_, memory_.size() - end_, spin); }
  std::string_view view() const { return {memory_.data(), end_}; }
  void take(std::size_t size) {
    end_ -= size;
    std::memmove(memory_.data(), memory_.data() + size, end_);
  }

 private:
  std::vector<char> memory_;
  std::size_t end_ = 0;
};

}  // namespace hostcall::bench::raw
