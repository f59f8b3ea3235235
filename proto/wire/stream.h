// Stream: the engine's state of one call on a connection: which side may still send what.
#pragma once

#include <cstdint>

#include "proto/base/linked_list.h"
#include "proto/wire/window.h"

namespace hostcall::wire {

// Which sides of a call stream: declared by the method, shown by the Request's flags.
enum class Shape : std::uint8_t { kUnary, kClientStream, kServerStream, kBidiStream };

inline bool client_streams(Shape shape) { return shape == Shape::kClientStream || shape == Shape::kBidiStream; }
inline bool server_streams(Shape shape) { return shape == Shape::kServerStream || shape == Shape::kBidiStream; }

// Clients' calls have odd ids; even ids are reserved for calls of the server.
inline bool is_client_stream(std::uint32_t id) { return (id & 1) != 0; }

inline constexpr std::uint32_t kLastClientStream = 0xFFFFFFFDu;  // the largest odd id but one: never wraps

// Owned by its Endpoint; pointers are valid until the stream ends. Linked: its send_data() was blocked.
class Stream : public Linked {
 public:
  Stream(std::uint32_t id, std::uint32_t send_credit, std::uint32_t receive_credit)
      : send_window(send_credit), receive_window(receive_credit), id_(id) {}
  std::uint32_t id() const { return id_; }

  // The owner's object for this call; the engine does not touch it.
  void* context = nullptr;

  // Owned by the Endpoint.
  SendWindow send_window;
  ReceiveWindow receive_window;
  std::int64_t unconsumed = 0;  // cost of the messages that the owner has not consumed yet
  std::int64_t kept = 0;        // of those, the cost of messages that took no credit of the connection
  bool remote_open = false;     // the peer may send Data
  bool local_open = false;      // we may send Data
  bool said_closed = false;     // the Request said that no Data follows: "remote closed"
  bool cancelled = false;       // the peer has cancelled: nothing more is sent

 private:
  std::uint32_t id_;
};

}  // namespace hostcall::wire
