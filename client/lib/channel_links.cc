// Channel's links: its state machine and what drives it. channel.cc has its calls.
#include <algorithm>

#include "client/lib/channel.h"
#include "client/lib/explain.h"
#include "proto/net/socket.h"

namespace hostcall::client {
namespace {

// EADDRINUSE: the previous connection's source port may soon be free.
bool is_retriable(const Error& error) {
  return net::is_retriable_connect_error(error.code) || error.code == EADDRINUSE;
}

// Of what epoll_ctl(2) needs; other processes may free some.
bool is_short_of_kernel_memory(const Error& error) { return error.code == ENOSPC || error.code == ENOMEM; }

timespec to_timespec(Duration wait) {
  const auto whole = std::chrono::floor<seconds>(wait);
  return {.tv_sec = whole.count(), .tv_nsec = nanoseconds(wait - whole).count()};
}

}  // namespace

template <class Visit>
void Channel::for_each_link(Visit visit) const {
  if (current_) visit(*current_);
  for (const auto& link : draining_) visit(*link);
}

void Channel::set_state(State state) {
  state_ = state;
  // The limit of a waiting call depends on the state.
  earliest_limit_ = TimePoint::min();
}

// ---------------------------------------------------------------- driving

void Channel::process(TimePoint now) {
  advance(now);
  put_off_reading_ = may_put_off_reading(now);
  // recv() on a vsock that is still connecting fails with ENOTCONN.
  for_each_link([&](Link& link) {
    if (!put_off_reading_ && (state_ != State::kConnecting || &link != current_.get())) link.read(now);
  });
  after_reading(now);
}

// Who has something to send has mostly nothing to read: the answer is yet to come. A look would cost a system call.
// What is there all the same makes the descriptor readable, and the next process() reads it; nothing may depend on it
// now.
bool Channel::may_put_off_reading(TimePoint now) const {
  return !put_off_reading_ && dirty_ && is_steady() && current_->has_output() && now < earliest_limit_ &&
         now < current_->next_beat();
}

void Channel::after_reading(TimePoint now) {
  settle(now);
  expire(now);
  for_each_link([&](Link& link) { link.beat(now); });
  connect_if_needed(now);
  start_waiting(now);
  // Before the flush, which then takes the requests of calls that observers begin.
  if (!pending_.empty()) dispatch();
  flush(now);
}

// Slow path: there is output or a dirty state, a link has changed, or an event loop watches.
void Channel::flush_slow(TimePoint now) {
  dirty_ = false;
  for_each_link([&](Link& link) { link.flush(now); });
  settle(now);
  sync_poll_set();
}

TimePoint Channel::next_timeout() const {
  if (dirty_ || !pending_.empty()) return TimePoint::min();
  auto next = earliest_limit_;
  if (state_ == State::kBackoff) next = std::min(next, not_before_);
  if (state_ == State::kConnecting || state_ == State::kHello) next = std::min(next, attempt_deadline_);
  for_each_link([&](const Link& link) { next = std::min(next, link.next_beat()); });
  return next;
}

int Channel::fd() {
  const int fd = poll_set_.fd();
  sync_poll_set();
  return fd;
}

bool Channel::watch_in(int epoll, std::uint64_t data) {
  if (poll_set_.active()) return false;
  poll_set_.use(epoll, data);
  sync_poll_set();
  return true;
}

TimePoint Channel::wait(TimePoint until, TimePoint now) {
  if (dirty_) flush(now);
  until = std::min(until, next_timeout());
  if (!may_await_host() || !await_host(until, now)) {
    poll(until, now);
    now = Clock::now();
    process(now);
  }
  return now;
}

// The condition of the fast path: only bytes from the host can end the wait.
bool Channel::may_await_host() const {
  return state_ == State::kReady && draining_.empty() && current_->wanted_events() == POLLIN;
}

// Fast path: waits and receives in one system call instead of two. False: too little time is left for that.
bool Channel::await_host(TimePoint until, TimePoint& now) {
  if (busy_poll_.run(until, [&] { return current_->look(); })) {
    current_->take(now);
    after_reading(now);
    return true;
  }
  while (until >= now + kAwaitLimit) {  // `until` may be TimePoint::min()
    if (!current_->await(now)) continue;
    after_reading(now);
    return true;
  }
  return false;
}

// Whether a link reads no more until messages are taken.
bool Channel::is_paused() const {
  bool paused = false;
  for_each_link([&](const Link& link) { paused |= !link.may_read(); });
  return paused;
}

void Channel::poll(TimePoint until, TimePoint now) const {
  const auto limit = to_timespec(until > now ? until - now : Duration::zero());
  pollfd entries[kMaxLinks];
  ::ppoll(entries, fill_poll(entries), until == kNever ? nullptr : &limit, nullptr);
}

void Channel::close(TimePoint now) {
  for (auto* call : calls_) cancel(*call);
  for_each_link([&](Link& link) { link.say_goaway(now); });
  current_.reset();
  draining_.clear();
  set_state(State::kClosed);
}

short Channel::wanted_events(const Link& link) const {
  const bool connecting = state_ == State::kConnecting && &link == current_.get();
  return connecting ? static_cast<short>(POLLOUT) : link.wanted_events();
}

// Slow path: an event loop watches the sockets. A link that can't be watched is lost, at once: its calls would wait for
// an event that never comes.
void Channel::sync_poll_set_slow() {
  for_each_link([&](Link& link) {
    const auto wanted = wanted_events(link);
    const auto watched = poll_set_.watch(link.fd(), std::exchange(link.watched, wanted), wanted);
    if (watched.ok()) return;
    link.lose({watched.error().message(), is_short_of_kernel_memory(watched.error())});
    dirty_ = true;
  });
}

std::size_t Channel::fill_poll(std::span<pollfd> entries) const {
  std::size_t count = 0;
  for_each_link([&](const Link& link) {
    const auto wanted = wanted_events(link);
    // -1 if no events are wanted: poll() would report the peer's end on every call.
    entries[count++] = {.fd = wanted == 0 ? -1 : link.fd(), .events = wanted, .revents = 0};
  });
  return count;
}

// ---------------------------------------------------------------- attempts

// Slow path: there is no link. Connects if a call waits and the pause is over.
void Channel::connect_if_needed_slow(TimePoint now) {
  if (!waiting_.empty() && now >= not_before_) return connect(now);
  const auto state = waiting_.empty() ? State::kIdle : State::kBackoff;
  if (state != state_) set_state(state);
}

// Each attempt searches from another port: a host that still has a connection from before this guest's reboot silently
// drops a new one from the same port until it gives up the old one.
net::SourcePort Channel::source_port() {
  if (!options_.privileged_port) return net::SourcePort::fixed(options_.source_port);
  return net::SourcePort::privileged(static_cast<std::uint32_t>(random_()));
}

void Channel::connect(TimePoint now) {
  set_state(State::kConnecting);
  attempt_deadline_ = deadline_after(now, options_.hello_timeout);
  auto fd = net::start_connect(options_.address, options_.connect_timeout, source_port());
  if (!fd.ok()) return attempt_failed({explain_connect(fd.error(), options_), is_retriable(fd.error())}, now);
  LinkEvents& events = *this;
  current_ = std::make_unique<Link>(std::move(*fd), options_, events, now);
  dirty_ = true;
  advance(now);
}

// Slow path: the socket may have connected; then sends Hello.
void Channel::advance_slow(TimePoint now) {
  const auto connected = current_->connected();
  if (!connected) return;
  if (!connected->ok()) {
    const auto& error = connected->error();
    return attempt_failed({explain_connect(error, options_), is_retriable(error)}, now);
  }
  set_state(State::kHello);
  current_->send_hello(attempt_deadline_ - now);
  current_->flush(now);
}

void Channel::attempt_failed(const Loss& loss, TimePoint now) {
  current_.reset();
  last_failure_ = loss.text;
  last_retry_after_ = {};
  const auto pause = backoff_.next();
  if (!loss.retriable) fail_waiting({wire::Code::kUnavailable, last_failure_, {}}, true);
  // No call waits: the next one tries at once.
  const bool nobody = waiting_.empty() && !loss.retriable;
  not_before_ = nobody ? now : now + pause;
  set_state(waiting_.empty() ? State::kIdle : State::kBackoff);
}

// ---------------------------------------------------------------- changes of links

// Slow path: a link has connected, answered Hello, been lost, said Goaway or drained.
void Channel::settle_slow(TimePoint now) {
  settle_draining(now);
  if (state_ == State::kHello && current_->hello()) take_hello(now);
  if (state_ == State::kReady && (current_->loss() || current_->leaving())) return part(now);
  if (state_ != State::kHello && state_ != State::kConnecting) return;
  if (current_->loss()) return attempt_failed({why(*current_), current_->loss()->retriable}, now);
  if (now >= attempt_deadline_) attempt_failed({explain_silence(options_), true}, now);
}

void Channel::take_hello(TimePoint now) {
  const auto status = *current_->hello();
  if (status.ok()) {
    if (current_->loss()) return;  // lost right after Hello: a failed attempt
    last_failure_.clear();
    last_retry_after_ = {};
    return set_state(State::kReady);
  }
  attempt_failed({options_.address.to_string() + " refused Hello: " + status.message, true}, now);
  last_retry_after_ = status.retry_after;
  not_before_ = std::max(not_before_, now + status.retry_after);
  fail_waiting(status, false);
  set_state(State::kIdle);
}

// The current link takes no more calls: it is lost, or the host said Goaway.
void Channel::part(TimePoint now) {
  auto old = std::move(current_);
  const auto farewell = old->farewell();
  last_failure_ = why(*old);
  last_retry_after_ = farewell.retry_after;
  not_before_ = now + std::max(farewell.retry_after, old->was_sound(now) ? Duration::zero() : backoff_.next());
  set_state(State::kIdle);
  repeat_or_end(old->abandon_after(farewell.last_stream), last_failure_, now);
  if (old->loss())
    fail_running(*old, last_failure_, now);
  else if (old->open_calls() != 0)
    park(std::move(old), now);
  connect_if_needed(now);
}

// Keeps a link whose calls still run beside the next link; bounded in number.
void Channel::park(std::unique_ptr<Link> link, TimePoint now) {
  if (draining_.size() == kMaxDraining) {
    fail_running(*draining_.front(), "too many connections drain at once", now);
    draining_.erase(draining_.begin());
  }
  draining_.push_back(std::move(link));
}

void Channel::settle_draining(TimePoint now) {
  for (auto& link : draining_)
    if (link->loss()) fail_running(*link, why(*link), now);
  std::erase_if(draining_, [](const auto& link) { return link->open_calls() == 0; });
}

// Slow path: finds out that the host closed an idle link before a call is sent on it and its outcome becomes unknown.
void Channel::check_stale_slow(TimePoint now) {
  current_->read(now);
  settle(now);
}

std::string Channel::why(const Link& link) const {
  const auto& loss = link.loss();
  return options_.address.to_string() + ": " + (loss ? loss->text : explain_leaving(link.farewell().text));
}

}  // namespace hostcall::client
