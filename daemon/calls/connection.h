// Connection: one accepted socket. Moves bytes between the kernel and its Session's engine, stops reading from a peer
// that does not read its replies, and enforces the connection's deadlines: first request, frame completion, heartbeat,
// idle time, closing.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include "daemon/calls/environment.h"
#include "daemon/calls/server_control.h"
#include "daemon/calls/session.h"
#include "proto/base/buffer.h"
#include "proto/wire/read_size.h"

namespace hostcall::daemon {

class Connection final : public IoHandler, public TurnEnd, private SessionOwner {
 public:
  // Takes ownership of the socket. A refusal that is not OK answers the caller's first request. `place` is the VM's
  // charge for a connection.
  Connection(ConnectionEnvironment environment, UniqueFd fd, Caller caller, std::uint64_t id, Status refusal,
             Charge place);
  ~Connection();
  // Starts reading. On return, the connection may already be closed.
  void start();

  const Caller& caller() const { return caller_; }
  Session& session() { return session_; }
  const Session& session() const { return session_; }
  SessionInfo info() const;

  // Refuses new calls, lets running ones finish, and closes after the last.
  void drain(std::string_view text);
  // Sends Goaway, ends the open calls, and closes once all output is sent or after a second.
  void end(wire::GoawayReason reason, std::string_view text);

 private:
  enum class State : std::uint8_t {
    kOpen,
    kFlushing,   // takes no more calls; closes when all output is sent
    kLingering,  // all output is sent; waits for the peer to read it and close
    kClosed,     // dies at the end of the turn
  };

  struct Unread {
    Buffer bytes;
    Charge charge;
  };

  void on_io(std::uint32_t events) override;
  void on_turn_end() override;
  void flush_soon() override { calls_.reactor.at_turn_end(*this); }
  void finish_soon() override;
  void booted(bool again) override { connections_.booted(*this, again); }

  void set_state(State state);
  void read_input();
  std::span<char> input_room() const;
  void take(std::string_view bytes);
  void keep_unread(std::string_view bytes);
  void resume_unread();
  void discard_input();
  void flush();
  bool send_some();
  void update_interest();
  void note_frame_progress();
  void on_tick();
  bool has_heartbeat() const;
  TimePoint ping_due() const;
  void beat();
  TimePoint next_tick() const;
  void broke_protocol();
  void close_within(Duration time);
  void close();

  CallEnvironment& calls_;
  Connections& connections_;
  UniqueFd fd_;
  const Caller caller_;
  Charge place_;
  Session session_;
  std::unique_ptr<Unread> unread_;  // input held back because the peer does not read its replies
  Timer tick_;
  TimePoint opened_;
  TimePoint last_received_;
  TimePoint frame_since_ = kNever;  // when the incomplete frame began
  TimePoint close_at_ = kNever;
  std::uint64_t frames_seen_ = 0;
  std::uint64_t bytes_in_ = 0;
  std::uint64_t bytes_out_ = 0;
  std::uint32_t interest_ = 0;
  wire::ReadSize read_size_;
  bool bulk_ = false;  // the last read held few, large frames
  std::uint8_t pings_unanswered_ = 0;
  State state_ = State::kOpen;
};

}  // namespace hostcall::daemon
