// Connection: one accepted socket of a server. Moves bytes between the kernel and its Session's engine, stops reading
// from a peer that does not read its replies, and enforces the connection's deadlines: first request, frame completion,
// unread replies, closing.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "client/lib/server_environment.h"
#include "client/lib/server_poll.h"
#include "client/lib/server_session.h"
#include "proto/base/buffer.h"
#include "proto/base/unique_fd.h"

namespace hostcall::server {

class Connection;

// What a connection asks of the server.
class ConnectionOwner {
 public:
  // Call turn_end() at the end of this turn.
  virtual void at_turn_end(Connection& connection) = 0;
  // The connection has closed itself: destroy it at the end of this turn.
  virtual void closed(Connection& connection) = 0;

 protected:
  ~ConnectionOwner() = default;
};

class Connection final : public Watcher, private SessionOwner {
 public:
  // A refusal that is not OK answers the first call, and the connection ends.
  Connection(Environment& environment, ConnectionOwner& owner, const Poll& poll, UniqueFd fd, uid_t peer_uid,
             std::uint64_t id, wire::Status refusal);
  ~Connection();
  // Starts reading. Error: the kernel can't watch the socket.
  Done start();

  bool refused() const { return refused_; }
  bool is_closed() const { return state_ == State::kClosed; }
  void turn_end();
  // Refuses new calls, and ends with the last open one.
  void drain(const wire::Status& status) { session_.drain(status); }
  // Ends all calls, sends what there is to send, and closes.
  void end(const wire::Status& status);
  // Ends all calls and closes.
  void close();

  bool is_listed = false;    // the owner's: at_turn_end() was called
  std::size_t position = 0;  // the owner's: in its list

 private:
  enum class State : std::uint8_t {
    kOpen,
    kFlushing,  // reads no more; closes when all output is sent
    kClosed,    // dies at the end of the turn
  };

  void on_ready(std::uint32_t events) override;
  void flush_soon() override { owner_.at_turn_end(*this); }
  void finish_soon() override;

  void read_input();
  void take(std::string_view bytes);
  bool reads() const;
  bool send_some();
  void note_unread(bool progress);
  void note_frame_progress();
  void update_interest();
  TimePoint next_tick() const;
  void on_tick();
  bool catches_up();
  void lose(wire::GoawayReason reason, const std::string& why);

  Environment& environment_;
  ConnectionOwner& owner_;
  const Poll& poll_;
  UniqueFd fd_;
  Session session_;
  Timer tick_;
  Buffer held_;  // input that the engine did not take, because the peer does not read its replies
  TimePoint opened_;
  TimePoint frame_since_ = kNever;   // when the incomplete frame began
  TimePoint unread_since_ = kNever;  // when the socket took output last, while there is more
  TimePoint close_at_ = kNever;
  std::uint64_t frames_seen_ = 0;
  std::uint32_t interest_ = kReadable;
  State state_ = State::kOpen;
  const bool refused_;
};

}  // namespace hostcall::server
