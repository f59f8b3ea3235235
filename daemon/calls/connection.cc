#include "daemon/calls/connection.h"

#include <sys/socket.h>

#include <algorithm>
#include <array>

#include "proto/net/socket.h"

namespace hostcall::daemon {
namespace {

// How long a closing connection waits for the peer to read the last output, and then to close its side.
constexpr Duration kFlushTime = seconds(1);
constexpr Duration kLingerTime = milliseconds(200);
constexpr std::uint8_t kMaxLostPings = 3;
// What one connection may send per turn.
constexpr std::size_t kSendBytesPerTurn = 256 * 1024;
constexpr std::size_t kPieces = 16;
// A connection reads kReadBytes per turn, or more if its frames average kBulkFrameBytes.
constexpr std::size_t kReadBytes = 64 * 1024;
constexpr std::size_t kBulkFrameBytes = 4096;

}  // namespace

Connection::Connection(ConnectionEnvironment environment, UniqueFd fd, Caller caller, std::uint64_t id, Status refusal,
                       Charge place)
    : calls_(environment.calls),
      connections_(environment.connections),
      fd_(std::move(fd)),
      caller_(std::move(caller)),
      place_(std::move(place)),
      session_(calls_, caller_, id, *this, std::move(refusal)),
      tick_(calls_.reactor, Callback::to<&Connection::on_tick>(this)),
      opened_(calls_.reactor.now()),
      last_received_(opened_) {}

Connection::~Connection() { calls_.reactor.forget(*this); }

void Connection::start() {
  interest_ = kReadable | kPeerClosed;
  if (!calls_.reactor.add(fd_.get(), interest_, *this).ok()) return close();
  if (caller_.vm && caller_.peer.family == net::Address::Family::kUnix) net::make_room_for_streams(fd_.get());
  tick_.set(next_tick());
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
  if ((events & (kReadable | kPeerClosed)) == 0) return;
  if (state_ == State::kOpen)
    read_input();
  else
    discard_input();
}

void Connection::read_input() {
  // The peer closed while we held back its input: it gets no more replies.
  if (unread_) return close();
  const auto room = input_room();
  const auto received = net::receive(fd_.get(), room);
  if (!received.ok() || received.value().end) return close();
  if (received.value().would_block) return;
  const std::string_view bytes(room.data(), received.value().bytes);
  bytes_in_ += bytes.size();
  calls_.stats.bytes_in += bytes.size();
  last_received_ = calls_.reactor.now();
  pings_unanswered_ = 0;
  const auto& endpoint = session_.endpoint();
  const auto before = endpoint.frames_received();
  take(bytes);
  const auto frames = endpoint.frames_received() - before;
  bulk_ = !unread_ && bytes.size() >= (frames + 1) * kBulkFrameBytes;
  read_size_.saw(bytes.size(), frames, endpoint.mid_frame());
}

// Bounds a turn's work by frames and by bytes. Large frames are little work per byte, and a larger read contains more
// of them whole, which saves copies.
std::span<char> Connection::input_room() const {
  const auto buffer = calls_.reactor.buffer();
  return buffer.first(bulk_ ? read_size_.next(buffer.size()) : kReadBytes);
}

// Feeds the engine until it has taken all input or its output is paused.
void Connection::take(std::string_view bytes) {
  while (!bytes.empty()) {
    if (!session_.endpoint().receive(bytes)) return broke_protocol();
    if (state_ != State::kOpen) return;
    bytes = session_.endpoint().unread();
    if (bytes.empty()) break;
    if (!send_some()) return close();
    if (session_.endpoint().output_paused()) {
      keep_unread(bytes);
      break;
    }
  }
  note_frame_progress();
  flush_soon();
}

void Connection::keep_unread(std::string_view bytes) {
  auto held = std::make_unique<Unread>(Unread{.bytes = {}, .charge = caller_.charge(Resource::kMemory)});
  if (!held->charge.try_grow(bytes.size())) {
    const auto text = caller_.title() + ": the limit memory_bytes is reached by unread replies";
    calls_.audit.limit_reached(caller_, text, calls_.reactor.now());
    return end(wire::GoawayReason::kLimit, text);
  }
  held->bytes.append(bytes);
  unread_ = std::move(held);
}

void Connection::resume_unread() {
  if (!unread_ || session_.endpoint().output_paused()) return;
  const auto held = std::move(unread_);
  take(held->bytes.view());
}

// Discards the input of a closing connection until the peer closes.
void Connection::discard_input() {
  const auto received = net::receive(fd_.get(), calls_.reactor.buffer());
  if (!received.ok() || received.value().end) close();
}

void Connection::broke_protocol() {
  const auto& violation = *session_.endpoint().violation();
  ++calls_.stats.violations;
  calls_.audit.violation(caller_, violation.text, calls_.reactor.now());
  end(wire::GoawayReason::kProtocolError, violation.text);
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
  flush();
}

void Connection::flush() {
  if (!send_some()) return close();
  if (state_ == State::kOpen) {
    session_.endpoint().output_drained();
    resume_unread();
  }
  if (state_ == State::kClosed) return;
  if (state_ == State::kFlushing && session_.endpoint().output().empty()) {
    ::shutdown(fd_.get(), SHUT_WR);
    set_state(State::kLingering);
    close_within(kLingerTime);
  }
  update_interest();
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
    bytes_out_ += sent.value();
    calls_.stats.bytes_out += sent.value();
  }
  session_.settle_output();
  return true;
}

void Connection::update_interest() {
  std::uint32_t wanted = kPeerClosed;
  if (!unread_ && !session_.endpoint().output_paused()) wanted |= kReadable;
  if (state_ != State::kOpen) wanted |= kReadable;
  if (!session_.endpoint().output().empty()) wanted |= kWritable;
  if (wanted == interest_) return;
  interest_ = wanted;
  calls_.reactor.change(fd_.get(), interest_, *this);
}

// ---------------------------------------------------------------- deadlines

bool Connection::has_heartbeat() const {
  return session_.endpoint().has(wire::kFeaturePing) && calls_.config.timeouts.heartbeat > Duration::zero();
}

TimePoint Connection::ping_due() const {
  return last_received_ + (pings_unanswered_ + 1) * calls_.config.timeouts.heartbeat;
}

TimePoint Connection::next_tick() const {
  const auto& timeouts = calls_.config.timeouts;
  if (state_ != State::kOpen) return close_at_;
  TimePoint next = frame_since_ == kNever ? kNever : frame_since_ + timeouts.frame;
  if (session_.endpoint().frames_received() == 0) return std::min(next, opened_ + timeouts.first_request);
  if (has_heartbeat()) return std::min(next, ping_due());
  // Open calls keep a base connection alive. The timer checks again one period later.
  const auto now = calls_.reactor.now();
  const auto idle = last_received_ + timeouts.base_idle;
  return std::min(next, idle > now ? idle : now + timeouts.base_idle);
}

// The timer does not move with every byte. When due, it checks what happened meanwhile.
void Connection::on_tick() {
  const auto now = calls_.reactor.now();
  const auto& timeouts = calls_.config.timeouts;
  if (close_at_ <= now) return close();
  if (frame_since_ != kNever && frame_since_ + timeouts.frame <= now)
    return end(wire::GoawayReason::kLimit, "a frame was not completed in time");
  if (session_.endpoint().frames_received() == 0 && opened_ + timeouts.first_request <= now)
    return end(wire::GoawayReason::kIdle, "no request arrived in time");
  if (has_heartbeat()) {
    if (ping_due() <= now) beat();
  } else if (last_received_ + timeouts.base_idle <= now && session_.open_calls() == 0) {
    return end(wire::GoawayReason::kIdle, "idle for too long");
  }
  if (state_ == State::kOpen) tick_.set(next_tick());
}

void Connection::beat() {
  if (pings_unanswered_ == kMaxLostPings) {
    ++calls_.stats.heartbeats_lost;
    return end(wire::GoawayReason::kIdle, "the peer is silent: it did not answer three heartbeats");
  }
  session_.endpoint().send_ping(++pings_unanswered_);
  flush_soon();
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

void Connection::set_state(State state) { state_ = state; }

void Connection::close() {
  if (state_ == State::kClosed) return;
  set_state(State::kClosed);
  tick_.cancel();
  calls_.reactor.remove(fd_.get());
  session_.drop_calls();
  connections_.closed(*this);
}

}  // namespace hostcall::daemon
