// Connection: one accepted socket. Moves bytes between the kernel and its Session's engine, stops reading from a peer
// that does not read its replies, waits when its caller's share of the turns is used up, and enforces the connection's
// deadlines: first request, frame completion, heartbeat, idle time, closing.
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

class Connection final : public IoHandler, public TurnEnd, private Worker, private SessionOwner {
 public:
  // Takes ownership of the socket. A refusal that is not OK answers the caller's first request. `place` is the VM's
  // charge for a connection.
  Connection(ConnectionEnvironment environment, UniqueFd fd, Caller caller, std::uint64_t id, Status refusal,
             Charge place);
  ~Connection();
  // Starts reading. Fails, and has closed the connection, if the kernel can't watch the socket.
  Done start();

  const Caller& caller() const { return caller_; }
  Session& session() { return session_; }
  const Session& session() const { return session_; }
  SessionInfo info() const;

  // --- another daemon goes on; connection_handover.cc ---
  // Takes no more input until thaw(). Output goes on.
  void freeze();
  void thaw();
  // Whether another daemon can go on with it.
  bool is_portable() const { return state_ == State::kOpen && session_.state() != Session::State::kRefused; }
  // Writes a record of all that the other daemon needs. False: the connection is closing.
  bool hand_over(Outgoing& parcel);
  // Instead of start(): goes on where another daemon was, in the next turn. An objection ends the connection.
  Done resume(const handover::Connection& in, Incoming& parcel, Status objection);

  // Refuses new calls, lets running ones finish, and closes after the last.
  void drain(std::string_view text);
  // Sends Goaway, ends the open calls, and closes once all output is sent or after a second.
  void end(wire::GoawayReason reason, std::string_view text);

 private:
  // How long a peer may leave its output unread.
  static constexpr Duration kUnreadTime = seconds(30);
  enum class State : std::uint8_t {
    kOpen,
    kFlushing,   // takes no more calls; closes when all output is sent
    kLingering,  // all output is sent; waits for the peer to read it and close
    kClosed,     // dies at the end of the turn
  };

  // Input that is held back.
  struct Unread {
    Buffer bytes;
    std::string_view rest;  // of the bytes
    Charge charge;
  };

  void on_io(std::uint32_t events) override;
  void on_turn_end() override;
  void work() override;
  void flush_soon() override { calls_.reactor.at_turn_end(*this); }
  void finish_soon() override;
  void booted(bool again) override { connections_.booted(*this, again); }
  std::size_t send_now(std::span<iovec> pieces) override;

  void set_state(State state);
  void read_input();
  std::span<char> input_room() const;
  std::string_view take(std::string_view bytes);
  void keep_unread(std::string_view bytes);
  void go_on();
  bool can_go_on() const;
  // Whether it takes input as soon as it has a turn.
  bool reads() const { return !frozen_ && (!unread_ || is_waiting()) && !session_.endpoint().output_paused(); }
  bool may_work() { return calls_.reactor.work().may_work(session_.share()); }
  void wait_for_turn() { calls_.reactor.work().wait(session_.share(), *this); }
  void spend(std::size_t units) { calls_.reactor.work().spend(session_.share(), static_cast<Units>(units)); }
  void discard_input();
  void flush();
  bool send_some();
  void count_sent(std::size_t bytes);
  void note_unread();
  void update_interest();
  void note_frame_progress();
  void on_tick();
  bool has_heartbeat() const;
  TimePoint ping_due() const { return silent_since_ + calls_.config.timeouts.heartbeat; }
  TimePoint unread_due() const { return deadline_after(unread_since_, kUnreadTime); }
  const char* overdue() const;
  bool listens() const;
  bool is_silent() const;
  void excuse_silence();
  void beat();
  void lose_peer(const char* why);
  TimePoint next_tick() const;
  void break_off(std::string_view violation);
  void close_within(Duration time);
  void close();
  Done watch();

  CallEnvironment& calls_;
  Connections& connections_;
  UniqueFd fd_;
  const Caller caller_;
  VmCounts& counts_;
  Charge place_;
  Session session_;
  std::unique_ptr<Unread> unread_;  // because the peer does not read its replies, or its share is used up
  Timer tick_;
  TimePoint opened_;
  TimePoint last_received_;
  TimePoint silent_since_;           // the last input, heartbeat, or time at which none could be expected
  TimePoint unread_since_ = kNever;  // when the socket took output last, while there is more
  TimePoint frame_since_ = kNever;   // when the incomplete frame began
  TimePoint close_at_ = kNever;
  std::uint64_t frames_seen_ = 0;
  std::uint64_t bytes_in_ = 0;
  std::uint64_t bytes_out_ = 0;
  std::uint32_t interest_ = 0;  // 0: the reactor does not watch the socket
  wire::ReadSize read_size_;
  bool bulk_ = false;       // the last read held few, large frames
  bool must_read_ = false;  // waits to read from the socket
  bool frozen_ = false;
  bool has_sent_ = false;  // since note_unread()
  std::uint8_t pings_unanswered_ = 0;
  State state_ = State::kOpen;
};

}  // namespace hostcall::daemon
