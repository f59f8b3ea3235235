// Channel's calls; channel_links.cc has its links.
#include "client/lib/channel.h"

#include <algorithm>

namespace hostcall::client {
namespace {

// How often a call is repeated: a host that sends Goaway again and again must not hold it forever.
constexpr unsigned kMaxRepeats = 3;

template <class Container>
void erase_call(Container& calls, Call& call) {
  calls.erase(std::ranges::find(calls, &call));
}

std::optional<wire::Status> too_large(const Call& call, std::size_t bytes, std::uint32_t limit) {
  if (bytes <= limit) return std::nullopt;
  return wire::Status{wire::Code::kResourceExhausted,
                      call.name() + ": a message of " + std::to_string(bytes) + " bytes is over the host's limit of " +
                          std::to_string(limit) + " (message_bytes)",
                      {}};
}

// A payload that no frame holds counts alone: with the envelope around it the sum might wrap.
std::size_t request_bytes(const CallSpec& spec) {
  if (spec.payload.size() > wire::kMaxDataBytes) return spec.payload.size();
  const wire::RequestFields longest{.service = spec.service, .method = spec.method, .timeout_nano = -1};
  return wire::request_size(longest, spec.payload.size());
}

// Fast path: compares an upper bound of the Request's size with the limit.
bool surely_fits(const CallSpec& spec, std::uint32_t limit) {
  constexpr std::size_t kMaxOverhead = 64;  // tags and lengths of three fields, and the timeout
  return spec.service.size() + spec.method.size() + kMaxOverhead <= limit &&
         spec.payload.size() <= limit - (spec.service.size() + spec.method.size() + kMaxOverhead);
}

std::string attempts(unsigned count) { return std::to_string(count) + (count == 1 ? " attempt" : " attempts"); }

// What a call that waits for a link lacked, for error texts.
std::string missing(const Call& call) {
  return call.spec.service.empty() ? "no connection" : call.name() + ": not sent";
}

// What a running call lacked. A stream may have had replies.
std::string unfinished(const Call& call, const net::Address& address) {
  if (wire::server_streams(call.spec.shape)) return "the stream from " + address.to_string() + " did not end";
  return "no reply from " + address.to_string();
}

bool is_repeatable(const Call& call) { return !call.sent_data && call.repeats < kMaxRepeats; }

}  // namespace

Channel::Channel(ChannelOptions options)
    : options_(std::move(options)),
      busy_poll_(options_.busy_poll),
      backoff_(options_.backoff_base, options_.backoff_cap, options_.jitter_seed),
      random_(static_cast<std::minstd_rand::result_type>(options_.jitter_seed)) {}

Channel::~Channel() {
  close({});
  for (auto* call : calls_) call->channel = nullptr;
}

// ---------------------------------------------------------------- for owners

void Channel::begin(Call& call, TimePoint now) {
  call.result.clear();
  call.channel = this;
  call.index = calls_.size();
  calls_.push_back(&call);
  call.spec.wait_for_ready |= options_.wait_for_ready;
  check_stale(now);
  if (!may_start_at_once(call)) return begin_slow(call, now);
  start(call, now);
  expect_limit(call.spec.deadline);
}

// Slow path: the call has to wait for a link or for room on it, is refused, or only connects.
void Channel::begin_slow(Call& call, TimePoint now) {
  call.give_up = deadline_after(now, options_.connect_budget);
  if (auto status = refuse(call)) return end(call, std::move(*status));
  call.state = Call::State::kWaiting;
  waiting_.push_back(&call);
  connect_if_needed(now);
  start_waiting(now);
  if (!call.ended()) expect_limit(limit_of(call));
}

// The condition of the fast path: a ready link with room, an empty queue, a call that certainly fits.
inline bool Channel::may_start_at_once(const Call& call) const {
  return state_ == State::kReady && waiting_.empty() && current_->has_room() && !call.spec.service.empty() &&
         surely_fits(call.spec, current_->agreement().max_message_bytes);
}

// Why the call can't begin; nothing if it can.
std::optional<wire::Status> Channel::refuse(const Call& call) const {
  if (state_ == State::kClosed) return wire::Status{wire::Code::kCancelled, "the client is closed", {}};
  if (waiting_.size() >= options_.max_queued_calls)
    return wire::Status{wire::Code::kResourceExhausted,
                        std::to_string(waiting_.size()) + " calls are waiting already (max_queued_calls)" +
                            (last_failure_.empty() ? "" : ": " + last_failure_),
                        {}};
  return too_large(call, request_bytes(call.spec), wire::kMaxDataBytes);
}

void Channel::cancel(Call& call) {
  if (call.state == Call::State::kNew || call.ended()) return;
  wire::Status status{wire::Code::kCancelled, call.name() + ": cancelled", {}};
  if (call.state == Call::State::kRunning) return end_running(call, std::move(status));
  end(call, std::move(status));
}

void Channel::forget(Call& call) {
  if (!call.ended()) cancel(call);
  unread_ -= call.inbox.cost();
  calls_[call.index] = calls_.back();
  calls_[call.index]->index = call.index;
  calls_.pop_back();
  if (call.pending != 0) erase_call(pending_, call);
  call.channel = nullptr;
}

wire::SendOutcome Channel::send(Call& call, const wire::Payload& message) {
  if (call.ended() || call.send_closed) return wire::SendOutcome::kEnded;
  if (call.state == Call::State::kWaiting) return wire::SendOutcome::kBlocked;
  if (auto status = too_large(call, message.size(), call.link->agreement().max_message_bytes)) {
    end_running(call, std::move(*status));
    return wire::SendOutcome::kEnded;
  }
  const auto outcome = call.link->send(call, message);
  if (outcome == wire::SendOutcome::kSent) call.sent_data = dirty_ = true;
  return outcome;
}

void Channel::close_send(Call& call) {
  if (call.send_closed) return;
  call.send_closed = true;
  if (call.state != Call::State::kRunning) return;
  call.link->close_send(call);
  dirty_ = true;
}

std::string_view Channel::take(Call& call) {
  const bool paused = is_paused();
  const auto message = call.inbox.take();
  unread_ -= Inbox::cost_of(message.size());
  if (call.link != nullptr) call.link->consumed(call, message.size());
  // Reading may go on, or credit is to be sent. Otherwise the owner need not look at the socket again.
  if (paused || (call.link != nullptr && call.link->has_output())) dirty_ = true;
  return message;
}

void Channel::drop_inbox(Call& call) {
  while (!call.inbox.empty()) take(call);
}

void Channel::notify(Call& call, unsigned events) {
  if (call.observer == nullptr) return;
  if (call.pending == 0) pending_.push_back(&call);
  call.pending |= events;
}

// Delivers the events that are pending now. Those that observers cause wait for the next turn.
void Channel::dispatch() {
  for (auto turns = pending_.size(); turns != 0 && !pending_.empty(); --turns) {
    auto& call = *pending_.front();
    pending_.pop_front();
    call.observer->on_call_events(call, std::exchange(call.pending, 0u));
  }
}

// ---------------------------------------------------------------- beginning and ending

// Slow path: starts the calls that wait, as far as the link has room.
void Channel::start_waiting_slow(TimePoint now) {
  while (state_ == State::kReady && !waiting_.empty() && current_->has_room()) {
    auto& call = *waiting_.front();
    if (call.spec.service.empty()) {
      end(call, {});
    } else if (auto status = too_large(call, request_bytes(call.spec), current_->agreement().max_message_bytes)) {
      end(call, std::move(*status));
    } else {
      waiting_.pop_front();
      start(call, now);
    }
  }
}

void Channel::start(Call& call, TimePoint now) {
  call.state = Call::State::kRunning;
  current_->start(call, now);
  dirty_ = true;
  if (wire::client_streams(call.spec.shape)) notify(call, kWritable);
}

// Ends a call that is on no link.
void Channel::end(Call& call, wire::Status status, bool outcome_unknown) {
  if (call.state == Call::State::kWaiting) erase_call(waiting_, call);
  call.state = Call::State::kEnded;
  if (!status.ok()) call.result.payload.clear();
  call.result.status = std::move(status);
  call.result.outcome_unknown = outcome_unknown;
  notify(call, kClosed);
}

void Channel::end_running(Call& call, wire::Status status) {
  const bool written = call.link->was_written(call);
  call.link->cancel(call, status.code);
  dirty_ = true;
  end(call, std::move(status), written);
}

// The status has been OK since begin().
void Channel::on_call_done(Call& call, std::string_view payload) {
  backoff_.reset();
  call.result.payload.append(payload);
  call.state = Call::State::kEnded;
  notify(call, kClosed);
}

void Channel::on_call_failed(Call& call, wire::Status status) {
  backoff_.reset();
  end(call, std::move(status));
}

void Channel::on_message(Call& call, std::size_t size) {
  unread_ += Inbox::cost_of(size);
  notify(call, kReadable);
}

void Channel::on_writable(Call& call) { notify(call, kWritable); }

// ---------------------------------------------------------------- deadlines

TimePoint Channel::limit_of(const Call& call) const {
  // A link that stands is worth waiting for: systemd may hold the socket while the daemon restarts.
  const bool connected = state_ == State::kHello || state_ == State::kReady;
  const bool gives_up = call.state == Call::State::kWaiting && !connected && !call.spec.wait_for_ready;
  return gives_up ? std::min(call.spec.deadline, call.give_up) : call.spec.deadline;
}

// Slow path: ends the calls that are past their limit and finds the next limit.
void Channel::expire_slow(TimePoint now) {
  earliest_limit_ = kNever;
  for (auto* call : calls_) {
    if (call->ended()) continue;
    const auto limit = limit_of(*call);
    now >= limit ? expire_call(*call, now) : expect_limit(limit);
  }
}

void Channel::expire_call(Call& call, TimePoint now) {
  const auto& address = options_.address;
  if (call.state == Call::State::kRunning) {
    const bool paused = !call.link->may_read();
    return end_running(call,
                       {wire::Code::kDeadlineExceeded,
                        call.name() + ": " + unfinished(call, address) + " before the deadline" +
                            (paused ? "; reading is paused until the stream messages received so far are taken" : ""),
                        {}});
  }
  const std::string reason = last_failure_.empty() ? address.to_string() + " did not answer" : last_failure_;
  if (now >= call.spec.deadline)
    return end(call, {wire::Code::kDeadlineExceeded, missing(call) + " before the deadline: " + reason, {}});
  end(call, {wire::Code::kUnavailable, reason + " (" + attempts(backoff_.failures()) + ")", last_retry_after_});
}

// ---------------------------------------------------------------- failures

// `spare_patient`: except calls with wait_for_ready.
void Channel::fail_waiting(const wire::Status& status, bool spare_patient) {
  const auto calls = waiting_;
  for (auto* call : calls)
    if (!spare_patient || !call->spec.wait_for_ready) end(*call, status);
}

// A link is lost: ends its calls whose request was written to it, and repeats the others.
void Channel::fail_running(Link& link, const std::string& why, TimePoint now) {
  std::vector<Call*> unwritten;
  for (auto* call : link.abandon_after(0)) {
    if (link.was_written(*call))
      end(*call, {wire::Code::kUnavailable, call->name() + ": " + why + "; the request had been sent", {}}, true);
    else
      unwritten.push_back(call);
  }
  repeat_or_end(unwritten, why, now);
}

// Takes calls that the host has certainly not begun, oldest first, and puts them in front of those that wait.
void Channel::repeat_or_end(const std::vector<Call*>& calls, const std::string& why, TimePoint now) {
  for (auto it = calls.rbegin(); it != calls.rend(); ++it) {
    auto& call = **it;
    drop_inbox(call);
    call.result.clear();
    if (!is_repeatable(call)) {
      end(call,
          {wire::Code::kUnavailable, call.name() + ": " + why + "; the host has not begun it", last_retry_after_});
      continue;
    }
    ++call.repeats;
    call.state = Call::State::kWaiting;
    call.give_up = deadline_after(now, options_.connect_budget);
    waiting_.push_front(&call);
  }
}

}  // namespace hostcall::client
