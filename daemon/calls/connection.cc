#include "daemon/calls/connection.h"

#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <utility>

#include "proto/net/socket.h"

namespace hostcall::daemon {
namespace {

// How long a closing connection waits for the peer to read the last output, and then to close its side.
constexpr Duration kFlushTime = seconds(1);
constexpr Duration kLingerTime = milliseconds(200);
constexpr std::uint8_t kMaxLostPings = 3;
// When to look again at a peer that is overdue because we did not listen.
constexpr Duration kLookAgain = milliseconds(100);
// Why a peer is given up.
constexpr char kDoesNotRead[] = "the peer has not read its replies for 30 s";
constexpr char kSlowFrame[] = "a frame was not completed in time";
constexpr char kNoRequest[] = "no request arrived in time";
constexpr char kSilent[] = "the peer is silent: it did not answer three heartbeats";
constexpr char kIdle[] = "idle for too long";
constexpr char kPassesDescriptors[] = "the peer passes file descriptors, which hostcall does not take";
// What one connection may send per turn.
constexpr std::size_t kSendBytesPerTurn = 256 * 1024;
constexpr std::size_t kPieces = 16;
// A connection reads kReadBytes per turn, or more if its frames average kBulkFrameBytes.
constexpr std::size_t kReadBytes = 64 * 1024;
constexpr std::size_t kBulkFrameBytes = 4096;
// What a unit of work pays for: frames of the extension, which cost little each, and bytes that are thrown away.
constexpr std::size_t kFramesPerUnit = 16;
constexpr std::size_t kDiscardedBytesPerUnit = 8192;

}  // namespace

Connection::Connection(ConnectionEnvironment environment, UniqueFd fd, Caller caller, std::uint64_t id, Status refusal,
                       Charge place)
    : calls_(environment.calls),
      connections_(environment.connections),
      fd_(std::move(fd)),
      caller_(std::move(caller)),
      counts_(calls_.counts_of(caller_)),
      place_(std::move(place)),
      session_(calls_, caller_, id, *this, std::move(refusal)),
      tick_(calls_.reactor, Callback::to<&Connection::on_tick>(this)),
      opened_(calls_.reactor.now()),
      last_received_(opened_),
      silent_since_(opened_) {}

// Stops waiting before it lets go of its VM, whose share it waits on.
Connection::~Connection() {
  stop_waiting();
  calls_.reactor.forget(*this);
}

Done Connection::start() {
  auto watched = watch();
  if (watched.ok() && caller_.vm && caller_.peer.family == net::Address::Family::kUnix)
    net::make_room_for_streams(fd_.get());
  return watched;
}

Done Connection::watch() {
  constexpr std::uint32_t kFirstInterest = kReadable | kPeerClosed;
  if (auto watched = calls_.reactor.add(fd_.get(), kFirstInterest, *this); !watched.ok()) {
    close();
    return watched;
  }
  interest_ = kFirstInterest;
  tick_.set(next_tick());
  return done();
}

SessionInfo Connection::info() const {
  return {.id = session_.session_id(),
          .caller = caller_,
          .client = session_.client(),
          .opened = opened_,
          .last_received = last_received_,
          .calls = session_.calls(),
          .open_streams = session_.endpoint().open_streams(),
          .bytes_in = bytes_in_,
          .bytes_out = bytes_out_};
}

// ---------------------------------------------------------------- input

void Connection::on_io(std::uint32_t events) {
  if (state_ == State::kClosed) return;
  if ((events & kError) != 0) return close();
  if ((events & kWritable) != 0) flush_soon();
  // All else that comes now is the end of the peer.
  if (frozen_ && (events & ~kWritable) != 0) return close();
  if ((events & (kReadable | kPeerClosed)) == 0) return;
  if (state_ != State::kOpen) return discard_input();
  if (is_waiting() || !may_work()) {
    must_read_ = true;
    return wait_for_turn();
  }
  // The peer closed while it had replies to read: it gets no more.
  if (unread_) return close();
  read_input();
}

// The caller's share has units again.
void Connection::work() {
  if (state_ != State::kOpen) return;
  go_on();
  if (std::exchange(must_read_, false) && state_ == State::kOpen && !is_waiting() && reads()) read_input();
  flush_soon();
}

void Connection::read_input() {
  const auto room = input_room();
  const auto received = net::receive(fd_.get(), room);
  if (!received.ok() || received.value().end) return close();
  if (received.value().would_block) return;
  if (received.value().descriptors) return break_off(kPassesDescriptors);
  const std::string_view bytes(room.data(), received.value().bytes);
  bytes_in_ += bytes.size();
  calls_.stats.bytes_in += bytes.size();
  counts_.bytes_in += bytes.size();
  calls_.heap.note(bytes.size());
  last_received_ = silent_since_ = calls_.reactor.now();
  pings_unanswered_ = 0;
  const auto& endpoint = session_.endpoint();
  const auto before = endpoint.frames_received();
  if (const auto rest = take(bytes); !rest.empty()) keep_unread(rest);
  const auto frames = endpoint.frames_received() - before;
  // Bytes of a frame that is not complete are copied, and may never be part of a call that pays.
  spend(frames / kFramesPerUnit + (endpoint.mid_frame() ? bytes.size() / kCopiedBytesPerUnit : 0));
  bulk_ = !unread_ && bytes.size() >= (frames + 1) * kBulkFrameBytes;
  read_size_.saw(bytes.size(), frames, endpoint.mid_frame());
}

// Bounds a turn's work by frames and by bytes. Large frames are little work per byte, and a larger read contains more
// of them whole, which saves copies.
std::span<char> Connection::input_room() const {
  const auto buffer = calls_.reactor.buffer();
  return buffer.first(bulk_ ? read_size_.next(buffer.size()) : kReadBytes);
}

// Feeds the engine until it has taken all input, is suspended, or its output is paused. Returns the rest.
std::string_view Connection::take(std::string_view bytes) {
  auto& endpoint = session_.endpoint();
  while (!bytes.empty()) {
    const bool legal = endpoint.receive(bytes);
    session_.bury_calls();
    if (!legal) break_off(session_.endpoint().violation()->text);
    if (state_ != State::kOpen) return {};
    bytes = endpoint.unread();
    if (bytes.empty() || endpoint.suspended()) break;
    if (!send_some()) {
      close();
      return {};
    }
    if (endpoint.output_paused()) break;
  }
  note_frame_progress();
  if (endpoint.suspended()) wait_for_turn();
  flush_soon();
  return bytes;
}

// A caller whose share is used up is not at fault, so its input is charged in any case.
void Connection::keep_unread(std::string_view bytes) {
  auto held = std::make_unique<Unread>(Unread{.bytes = {}, .rest = {}, .charge = caller_.charge(Resource::kMemory)});
  if (session_.endpoint().suspended()) {
    held->charge.set(bytes.size());
  } else if (!held->charge.try_grow(bytes.size())) {
    const auto text = caller_.title() + ": the limit memory_bytes is reached by unread replies";
    ++calls_.stats.limits_hit["memory_bytes"];
    ++counts_.limited;
    calls_.audit.limit_reached(caller_, text, calls_.reactor.now());
    return end(wire::GoawayReason::kLimit, text);
  }
  held->bytes.append(bytes);
  held->rest = held->bytes.view();
  unread_ = std::move(held);
}

// Whether there is anything to do that waits for a turn, and not for the peer.
bool Connection::can_go_on() const {
  const auto& endpoint = session_.endpoint();
  return endpoint.suspended() || endpoint.would_wake() || session_.has_room_again() ||
         (unread_ && !frozen_ && !endpoint.output_paused());
}

// Wakes streams that have room again, and takes input that was held back.
void Connection::go_on() {
  auto& endpoint = session_.endpoint();
  endpoint.resume();
  // These first: nobody else gets the room that is kept for them.
  session_.wake_for_room();
  endpoint.output_drained();
  if (unread_ && !frozen_ && !endpoint.output_paused()) {
    unread_->rest = take(unread_->rest);
    if (unread_->rest.empty()) unread_.reset();
  }
  if (state_ == State::kOpen && endpoint.suspended()) wait_for_turn();
}

// Discards the input of a closing connection until the peer closes.
void Connection::discard_input() {
  if (!may_work()) return;
  const auto received = net::receive(fd_.get(), calls_.reactor.buffer());
  if (!received.ok() || received.value().end || received.value().descriptors) return close();
  spend(1 + received.value().bytes / kDiscardedBytesPerUnit);
}

void Connection::break_off(std::string_view violation) {
  ++calls_.stats.violations;
  calls_.audit.violation(caller_, violation, calls_.reactor.now());
  end(wire::GoawayReason::kProtocolError, violation);
}

void Connection::note_frame_progress() {
  const auto& endpoint = session_.endpoint();
  // After the first frame other deadlines apply, which may be nearer.
  if (frames_seen_ == 0 && endpoint.frames_received() != 0) tick_.set(next_tick());
  if (!endpoint.mid_frame()) {
    frame_since_ = kNever;
  } else if (frame_since_ == kNever || frames_seen_ != endpoint.frames_received()) {
    frame_since_ = calls_.reactor.now();
    tick_.set(next_tick());
  }
  frames_seen_ = endpoint.frames_received();
}

// ---------------------------------------------------------------- output

void Connection::on_turn_end() {
  if (state_ == State::kClosed) return;
  session_.bury_calls();
  flush();
}

void Connection::flush() {
  if (!send_some()) return close();
  if (state_ == State::kOpen && !is_waiting() && can_go_on()) may_work() ? go_on() : wait_for_turn();
  if (state_ == State::kClosed) return;
  if (state_ == State::kFlushing && session_.endpoint().output().empty()) {
    ::shutdown(fd_.get(), SHUT_WR);
    set_state(State::kLingering);
    close_within(kLingerTime);
  }
  update_interest();
}

// Part of each call.
[[gnu::always_inline]] inline void Connection::count_sent(std::size_t bytes) {
  if (bytes != 0) has_sent_ = true;
  bytes_out_ += bytes;
  calls_.stats.bytes_out += bytes;
  counts_.bytes_out += bytes;
  calls_.heap.note(bytes);
}

// Sends what the socket accepts, up to the limit per turn. False: the connection is broken.
bool Connection::send_some() {
  auto& output = session_.endpoint().output();
  const std::size_t most = net::max_send_bytes(caller_.peer.family);
  for (std::size_t left = kSendBytesPerTurn; left != 0 && !output.empty();) {
    std::array<iovec, kPieces> pieces;
    const auto count = output.gather(pieces);
    const auto sent = net::send(fd_.get(), {pieces.data(), count}, std::min(left, most));
    if (!sent.ok()) return false;
    if (sent.value() == 0) break;
    output.consume(sent.value());
    left -= sent.value();
    count_sent(sent.value());
  }
  session_.settle_output();
  note_unread();
  return true;
}

// A large message, from where it lies: a copy would cost as much as half of the sending. What the socket does not take
// is output, which waits for the end of the turn.
std::size_t Connection::send_now(std::span<iovec> pieces) {
  const auto sent = net::send_all(fd_.get(), pieces, net::max_send_bytes(caller_.peer.family));
  if (!sent.ok()) return 0;
  count_sent(sent.value());
  return sent.value();
}

// Watches how long the peer leaves output unread: since the socket took some last, here or in send_now().
void Connection::note_unread() {
  const bool progress = std::exchange(has_sent_, false);
  if (session_.endpoint().output().empty()) {
    unread_since_ = kNever;
  } else if (progress || unread_since_ == kNever) {
    unread_since_ = calls_.reactor.now();
    if (tick_.deadline() > unread_due()) tick_.set(next_tick());
  }
}

void Connection::update_interest() {
  std::uint32_t wanted = frozen_ ? kError : kPeerClosed;
  if (reads() || state_ != State::kOpen) wanted |= kReadable;
  if (!session_.endpoint().output().empty()) wanted |= kWritable;
  if (wanted == interest_) return;
  interest_ = wanted;
  calls_.reactor.change(fd_.get(), interest_, *this);
}

// ---------------------------------------------------------------- deadlines

bool Connection::has_heartbeat() const {
  return session_.endpoint().has(wire::kFeaturePing) && calls_.config.timeouts.heartbeat > Duration::zero();
}

TimePoint Connection::next_tick() const {
  const auto& timeouts = calls_.config.timeouts;
  if (state_ != State::kOpen) return close_at_;
  TimePoint next = std::min(unread_due(), deadline_after(frame_since_, timeouts.frame));
  if (session_.endpoint().frames_received() == 0) return std::min(next, opened_ + timeouts.first_request);
  if (has_heartbeat()) return std::min(next, ping_due());
  // Open calls keep a base connection alive. The timer checks again one period later.
  const auto now = calls_.reactor.now();
  const auto idle = silent_since_ + timeouts.base_idle;
  return std::min(next, idle > now ? idle : now + timeouts.base_idle);
}

// The timer does not move with every byte. When due, it checks what happened meanwhile.
void Connection::on_tick() {
  const auto now = calls_.reactor.now();
  if (close_at_ <= now) return close();
  // While we did nothing, the peer may have made room.
  if (unread_due() <= now && !send_some()) return close();
  if (unread_due() <= now) return lose_peer(kDoesNotRead);
  const char* why = overdue();
  if (why != nullptr && is_silent()) return lose_peer(why);
  if (why != nullptr || !listens()) {
    excuse_silence();
    return tick_.set(std::max(next_tick(), now + kLookAgain));
  }
  if (has_heartbeat() && ping_due() <= now) beat();
  tick_.set(next_tick());
}

// What the peer should have done by now. Null: nothing.
const char* Connection::overdue() const {
  const auto now = calls_.reactor.now();
  const auto& timeouts = calls_.config.timeouts;
  if (deadline_after(frame_since_, timeouts.frame) <= now) return kSlowFrame;
  if (session_.endpoint().frames_received() == 0) return opened_ + timeouts.first_request <= now ? kNoRequest : nullptr;
  if (has_heartbeat()) return pings_unanswered_ == kMaxLostPings && ping_due() <= now ? kSilent : nullptr;
  return silent_since_ + timeouts.base_idle <= now && session_.open_calls() == 0 ? kIdle : nullptr;
}

// Whether we read what the peer says, and it has all that we have said.
bool Connection::listens() const {
  return !unread_ && reads() && !is_waiting() && session_.endpoint().output().empty();
}

// Whether it is the peer who has nothing to say: we listen, and nothing has arrived since we read last.
bool Connection::is_silent() const {
  char byte;
  return listens() && ::recv(fd_.get(), &byte, sizeof byte, MSG_PEEK | MSG_DONTWAIT) <= 0;
}

// What we did not ask for or not read is not missing.
void Connection::excuse_silence() {
  silent_since_ = calls_.reactor.now();
  pings_unanswered_ = 0;
  if (frame_since_ != kNever) frame_since_ = silent_since_;
}

// A heartbeat counts from the time when it is sent.
void Connection::beat() {
  session_.endpoint().send_ping(++pings_unanswered_);
  silent_since_ = calls_.reactor.now();
  flush_soon();
}

void Connection::lose_peer(const char* why) {
  if (why == kSilent) ++calls_.stats.heartbeats_lost;
  calls_.audit.peer_lost(caller_, why, calls_.reactor.now());
  end(why == kSlowFrame ? wire::GoawayReason::kLimit : wire::GoawayReason::kIdle, why);
}

// ---------------------------------------------------------------- the end

void Connection::drain(std::string_view text) {
  if (state_ != State::kOpen) return;
  session_.stop_accepting(wire::GoawayReason::kShutdown, 0, text);
  session_.drain_calls();
  if (session_.open_calls() == 0) finish_soon();
}

void Connection::end(wire::GoawayReason reason, std::string_view text) {
  if (state_ != State::kOpen) return;
  session_.stop_accepting(reason, 0, text);
  session_.end_calls({Code::kUnavailable, std::string(text)});
  finish_soon();
}

void Connection::finish_soon() {
  if (state_ != State::kOpen) return;
  set_state(State::kFlushing);
  close_within(kFlushTime);
  flush_soon();
}

void Connection::close_within(Duration time) {
  close_at_ = calls_.reactor.now() + time;
  tick_.set(close_at_);
}

// Only an open connection has work that waits.
void Connection::set_state(State state) {
  state_ = state;
  stop_waiting();
}

void Connection::close() {
  if (state_ == State::kClosed) return;
  set_state(State::kClosed);
  tick_.cancel();
  if (interest_ != 0) calls_.reactor.remove(fd_.get());
  session_.drop_calls();
  calls_.heap.note(HeapTrim::kWorthBytes);
  connections_.closed(*this);
}

}  // namespace hostcall::daemon
