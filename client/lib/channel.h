// Channel: the calls to one host and the links that carry them. Connects when a call needs it, says Hello, reconnects
// with backoff, drains links after Goaway, repeats calls that the host has certainly not begun, and enforces every
// deadline. Only wait() blocks. Time is an argument. Observers run in process() only.
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
    kIdle,        // no link, and no call needs one
    kConnecting,  // connect() is in progress
    kHello,       // the host has yet to answer Hello
    kReady,
    kBackoff,  // calls wait for the next attempt
    kClosed,   // final
  };

  explicit Channel(ChannelOptions options);
  ~Channel();
  Channel(const Channel&) = delete;
  Channel& operator=(const Channel&) = delete;

  State state() const { return state_; }
  const ChannelOptions& options() const { return options_; }
  // The agreement in force; null unless ready.
  const Agreement* agreement() const { return state_ == State::kReady ? &current_->agreement() : nullptr; }

  // --- calls; one that has ended has its outcome in its CallResult ---
  // Begins a call whose spec is set; it may end at once. flush() or process() sends the request.
  void begin(Call& call, TimePoint now);
  // Ends a call with CANCELLED unless it has ended.
  void cancel(Call& call);
  // Removes a call that is being destroyed; cancels it first unless it has ended.
  void forget(Call& call);
  // kBlocked: a kWritable event follows. kEnded: the call has ended, or this side is closed.
  wire::SendOutcome send(Call& call, const wire::Payload& message);
  void close_send(Call& call);
  // Takes the oldest message from the call's inbox, which must not be empty.
  std::string_view take(Call& call);
  // Drops all messages in the inbox.
  void drop_inbox(Call& call);
  // The next process() delivers these events to the observer.
  void notify(Call& call, unsigned events);

  // --- driving ---
  // Does all work that does not block, then runs observers.
  void process(TimePoint now);
  // Sends pending output.
  void flush(TimePoint now) {
    if (dirty_ || poll_set_.active() || !is_steady() || current_->has_output()) flush_slow(now);
  }
  // When process() is due even if no descriptor is ready; in the past: now.
  TimePoint next_timeout() const;
  // Stays the same for the channel's life. Readable when process() has work.
  int fd();
  // Alternative to fd(): watches the channel's sockets in the owner's epoll set, with `data` in the events. The set
  // must outlive the channel. False: the channel has a set already.
  bool watch_in(int epoll, std::uint64_t data);
  // Waits for a descriptor or a timeout, at most until `until`, and processes. Uses the real clock: `now` is its last
  // reading; returns the next one.
  TimePoint wait(TimePoint until, TimePoint now = Clock::now());
  // Ends every call with CANCELLED and sends Goaway. One more process() runs the observers.
  void close(TimePoint now);

 private:
  // A link that was idle for this long is read before it gets a call.
  static constexpr milliseconds kStaleAfter{100};
  static constexpr std::size_t kMaxDraining = 4;
  static constexpr std::size_t kMaxLinks = kMaxDraining + 1;

  void on_call_done(Call& call, std::string_view payload) override;
  void on_call_failed(Call& call, wire::Status status) override;
  void on_message(Call& call, std::size_t size) override;
  void on_writable(Call& call) override;

  // --- calls: channel.cc ---
  void begin_slow(Call& call, TimePoint now);
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

  // --- links: channel_links.cc ---
  void set_state(State state);
  void flush_slow(TimePoint now);
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
  // One ready link, and nothing has happened to it.
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
  bool may_put_off_reading(TimePoint now) const;
  void after_reading(TimePoint now);
  bool may_await_host() const;
  bool is_paused() const;
  bool await_host(TimePoint until, TimePoint& now);
  void poll(TimePoint until, TimePoint now) const;

  const ChannelOptions options_;
  State state_ = State::kIdle;
  std::unique_ptr<Link> current_;                // kConnecting, kHello, kReady
  std::vector<std::unique_ptr<Link>> draining_;  // the host takes no new calls on these
  PollSet poll_set_;
  BusyPoll busy_poll_;
  Backoff backoff_;
  std::minstd_rand random_;            // picks where the search for a privileged port starts
  std::string last_failure_;           // why there is no link, for error texts
  Duration last_retry_after_{};        // the host's retry hint that came with it
  TimePoint not_before_{};             // earliest time of the next attempt
  TimePoint attempt_deadline_{};       // kConnecting, kHello: the attempt fails then
  std::vector<Call*> calls_;           // all of them, ended ones too, until forget()
  std::deque<Call*> waiting_;          // kWaiting, oldest first
  std::deque<Call*> pending_;          // calls with events for their observer
  TimePoint earliest_limit_ = kNever;  // a lower bound of all calls' limits
  bool dirty_ = false;                 // flush() has work
  bool put_off_reading_ = false;       // by the last process()
};

}  // namespace hostcall::client
