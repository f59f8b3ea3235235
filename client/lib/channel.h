// Channel: the way to one host. Connects when a call needs it, says Hello, reconnects with back-off, drains after
// Goaway, repeats what the host has certainly not begun, and keeps every call's deadline. It never blocks, but in
// wait(), and time comes in as an argument; the calls' owners are told of events in process() only.
#pragma once

#include <poll.h>

#include <deque>
#include <memory>
#include <random>
#include <span>
#include <vector>

#include "client/lib/backoff.h"
#include "client/lib/call.h"
#include "client/lib/channel_options.h"
#include "client/lib/link.h"
#include "client/lib/poll_set.h"
#include "proto/base/busy_poll.h"
#include "proto/net/socket.h"

namespace hostcall::client {

class Channel final : private LinkEvents {
 public:
  enum class State : std::uint8_t {
    kIdle,        // no connection, and nobody needs one
    kConnecting,  // the socket is on its way
    kHello,       // the host's answer to Hello is awaited
    kReady,
    kBackoff,  // calls wait until the next attempt
    kClosed,   // for ever
  };

  explicit Channel(ChannelOptions options);
  ~Channel();
  Channel(const Channel&) = delete;
  Channel& operator=(const Channel&) = delete;

  State state() const { return state_; }
  const ChannelOptions& options() const { return options_; }
  // The agreement in force; null unless ready.
  const Agreement* agreement() const { return state_ == State::kReady ? &current_->agreement() : nullptr; }

  // --- calls; their outcome is in their CallResult once they have ended ---
  // Begins a call; its spec is set. It may end at once. Nothing is sent before flush() or process().
  void begin(Call& call, TimePoint now);
  // Ends a call that has not ended.
  void cancel(Call& call);
  // Forgets a call that goes away, cancelling it if need be.
  void forget(Call& call);
  // kBlocked: a kWritable event will come. kEnded: the call has ended, or this side is closed.
  wire::SendOutcome send(Call& call, const wire::Payload& message);
  void close_send(Call& call);
  // Takes the oldest message out of a call's inbox, which must not be empty.
  std::string_view take(Call& call);
  // Drops what is in the inbox.
  void drop_inbox(Call& call);
  // Tells the observer these events at the next process().
  void notify(Call& call, unsigned events);

  // --- driving ---
  // Does everything that can be done now, then tells observers.
  void process(TimePoint now);
  // Sends what is to be sent.
  void flush(TimePoint now);
  // When process() is due although no descriptor is ready; in the past: now.
  TimePoint next_timeout() const;
  // Stays the same for the channel's life; readable when process() has something to do.
  int fd();
  // Instead: watches the channel's sockets in an epoll set of the owner's, which must outlive the channel, with `data`
  // in the events. False: there is a set already.
  bool watch_in(int epoll, std::uint64_t data);
  // Waits for a descriptor or a time-out, `until` at the latest, and processes. Uses the real clock, which said `now`
  // a moment ago, and returns what it says then.
  TimePoint wait(TimePoint until, TimePoint now = Clock::now());
  // Ends every call with CANCELLED and says Goaway. Observers are told by a last process().
  void close(TimePoint now);

 private:
  // A connection that was unused for so long is looked at before a call is put on it.
  static constexpr milliseconds kStaleAfter{100};
  static constexpr std::size_t kMaxDraining = 4;
  static constexpr std::size_t kMaxLinks = kMaxDraining + 1;

  void on_call_done(Call& call, std::string_view payload) override;
  void on_call_failed(Call& call, wire::Status status) override;
  void on_message(Call& call, std::size_t size) override;
  void on_writable(Call& call) override;

  // --- calls: channel.cc ---
  [[gnu::cold]] void begin_slow(Call& call, TimePoint now);
  std::optional<wire::Status> refuse(const Call& call) const;
  bool may_start_at_once(const Call& call) const;
  void start_waiting(TimePoint now) {
    if (!waiting_.empty()) start_waiting_slow(now);
  }
  void start_waiting_slow(TimePoint now);
  void start(Call& call, TimePoint now);
  void end(Call& call, wire::Status status, bool outcome_unknown = false);
  void end_running(Call& call, wire::Status status);
  TimePoint limit_of(const Call& call) const;
  void expect_limit(TimePoint limit) { earliest_limit_ = std::min(earliest_limit_, limit); }
  void expire(TimePoint now) {
    if (now >= earliest_limit_) expire_slow(now);
  }
  void expire_slow(TimePoint now);
  void expire_call(Call& call, TimePoint now);
  void fail_waiting(const wire::Status& status, bool spare_patient);
  void fail_running(Link& link, const std::string& why, TimePoint now);
  void repeat_or_end(const std::vector<Call*>& calls, const std::string& why, TimePoint now);
  void dispatch();

  // --- connections: channel_links.cc ---
  void set_state(State state);
  void connect_if_needed(TimePoint now) {
    if (state_ == State::kIdle || state_ == State::kBackoff) connect_if_needed_slow(now);
  }
  void connect_if_needed_slow(TimePoint now);
  void connect(TimePoint now);
  net::SourcePort source_port();
  void advance(TimePoint now) {
    if (state_ == State::kConnecting) advance_slow(now);
  }
  void advance_slow(TimePoint now);
  void attempt_failed(const Loss& loss, TimePoint now);
  void settle(TimePoint now) {
    if (!is_steady()) settle_slow(now);
  }
  // There is one connection in use, and nothing has become of it.
  bool is_steady() const {
    return state_ == State::kReady && draining_.empty() && !current_->loss() && !current_->leaving();
  }
  void settle_slow(TimePoint now);
  void settle_draining(TimePoint now);
  void take_hello(TimePoint now);
  void part(TimePoint now);
  void park(std::unique_ptr<Link> link, TimePoint now);
  void check_stale(TimePoint now) {
    if (state_ == State::kReady && current_->idle_since(now - kStaleAfter)) check_stale_slow(now);
  }
  void check_stale_slow(TimePoint now);
  std::string why(const Link& link) const;
  short wanted_events(const Link& link) const;
  void sync_poll_set() {
    if (poll_set_.active()) sync_poll_set_slow();
  }
  void sync_poll_set_slow();
  std::size_t fill_poll(std::span<pollfd> entries) const;
  template <class Visit>
  void for_each_link(Visit visit) const;
  void after_reading(TimePoint now);
  bool may_await_host() const;
  bool await_host(TimePoint until, TimePoint& now);
  void poll(TimePoint until, TimePoint now) const;

  const ChannelOptions options_;
  State state_ = State::kIdle;
  std::unique_ptr<Link> current_;                // kConnecting, kHello, kReady
  std::vector<std::unique_ptr<Link>> draining_;  // the host takes no new calls on these
  PollSet poll_set_;
  BusyPoll busy_poll_;
  Backoff backoff_;
  std::minstd_rand random_;            // where the search for a privileged port begins
  std::string last_failure_;           // why there is no connection, for texts
  Duration last_retry_after_{};        // that the host named with it
  TimePoint not_before_{};             // no attempt is made earlier
  TimePoint attempt_deadline_{};       // kConnecting, kHello: the attempt fails then
  std::vector<Call*> calls_;           // all that the channel knows; ended ones until they are forgotten
  std::deque<Call*> waiting_;          // kWaiting, in the order of beginning
  std::deque<Call*> pending_;          // with events that their observer has not been told
  TimePoint earliest_limit_ = kNever;  // no call's limit is earlier; may be too early
  bool dirty_ = false;                 // flush() has something to do
};

}  // namespace hostcall::client
