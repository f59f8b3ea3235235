// Stream: one call on a connection, as the engine sees it: which side may still send what.
#pragma once

#include <cstdint>

#include "proto/wire/window.h"

namespace hostcall::wire {

// The three streaming shapes and the unary one, from the caller's Request flags and the
// method's declaration.
enum class Shape : std::uint8_t { kUnary, kClientStream, kServerStream, kBidiStream };

inline bool client_streams(Shape shape) { return shape == Shape::kClientStream || shape == Shape::kBidiStream; }
inline bool server_streams(Shape shape) { return shape == Shape::kServerStream || shape == Shape::kBidiStream; }

// The calls of clients have odd ids; even ones are for calls of the server.
inline bool is_client_stream(std::uint32_t id) { return (id & 1) != 0; }

inline constexpr std::uint32_t kLastClientStream = 0xFFFFFFFDu;  // the largest odd id but one: never wraps

// Owned by its Endpoint; a pointer to it is good until the stream ends.
class Stream {
 public:
  Stream(std::uint32_t id, std::uint32_t send_credit, std::uint32_t receive_credit)
      : send_window(send_credit), receive_window(receive_credit), id_(id) {}
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  std::uint32_t id() const { return id_; }

  // The user's own object behind this call; the engine does not touch it.
  void* context = nullptr;

  // Kept by the Endpoint.
  SendWindow send_window;
  ReceiveWindow receive_window;
  std::int64_t unconsumed = 0;  // cost of the messages that the owner has not consumed yet
  bool remote_open = false;     // the peer may send Data
  bool local_open = false;      // we may send Data
  bool wants_writable = false;
  bool cancelled = false;  // the peer gave up: nothing more is sent

 private:
  std::uint32_t id_;
};

}  // namespace hostcall::wire
