#include "client/lib/server_connection.h"

#include <algorithm>
#include <array>
#include <span>
#include <utility>

#include "proto/net/socket.h"

namespace hostcall::server {
namespace {

// How long a closing connection waits for the peer to read the last output.
constexpr Duration kFlushTime = seconds(1);
// What one connection may send per turn.
constexpr std::size_t kSendBytesPerTurn = 256 * 1024;
constexpr std::size_t kPieces = 16;
constexpr auto kProtocolError = wire::GoawayReason::kProtocolError;

}  // namespace

Connection::Connection(Environment& environment, ConnectionOwner& owner, const Poll& poll, UniqueFd fd, uid_t peer_uid,
                       std::uint64_t id, wire::Status refusal)
    : environment_(environment),
      owner_(owner),
      poll_(poll),
      fd_(std::move(fd)),
      session_(environment, *this, peer_uid, id, refusal),
      tick_(environment.timers, [this] { on_tick(); }),
      opened_(environment.now()),
      refused_(!refusal.ok()) {}

Connection::~Connection() { close(); }

Done Connection::start() {
  net::make_room_for_streams(fd_.get());
  tick_.set(next_tick());
  return poll_.add(fd_.get(), interest_, *this);
}

// ---------------------------------------------------------------- input

void Connection::on_ready(std::uint32_t events) {
  if (state_ == State::kClosed) return;
  // The peer has closed: nobody waits for an answer. This is how a base client cancels.
  if ((events & kGone) != 0) return close();
  if ((events & kWritable) != 0) flush_soon();
  if ((events & kReadable) != 0 && reads()) read_input();
}

void Connection::read_input() {
  const std::span room(environment_.buffer);
  const auto received = net::receive(fd_.get(), room);
  if (!received.ok() || received->end) return close();
  if (received->would_block) return;
  if (received->descriptors)
    return lose(kProtocolError, "the peer passes file descriptors, which hostcall does not take");
  take({room.data(), received->bytes});
}

// Feeds the engine until it has taken all input, or its output is paused.
void Connection::take(std::string_view bytes) {
  auto& endpoint = session_.endpoint();
  while (!bytes.empty()) {
    if (!endpoint.receive(bytes)) return lose(kProtocolError, endpoint.violation()->text);
    if (state_ != State::kOpen) return;
    bytes = endpoint.unread();
    if (bytes.empty()) break;
    if (!send_some()) return close();
    if (endpoint.output_paused()) break;
  }
  held_.append(bytes);
  note_frame_progress();
  flush_soon();
}

bool Connection::reads() const {
  return state_ == State::kOpen && held_.empty() && !session_.endpoint().output_paused() && session_.takes_more();
}

void Connection::note_frame_progress() {
  const auto& endpoint = session_.endpoint();
  if (!endpoint.mid_frame())
    frame_since_ = kNever;
  else if (frame_since_ == kNever || frames_seen_ != endpoint.frames_received())
    frame_since_ = environment_.now();
  frames_seen_ = endpoint.frames_received();
  tick_.set(next_tick());
}

// ---------------------------------------------------------------- output

void Connection::turn_end() {
  if (state_ == State::kClosed) return;
  if (!send_some()) return close();
  auto& endpoint = session_.endpoint();
  if (state_ == State::kOpen) {
    endpoint.output_drained();
    if (!held_.empty() && !endpoint.output_paused() && session_.takes_more()) {
      const auto input = std::exchange(held_, {});
      take(input.view());
    }
  }
  if (state_ == State::kClosed) return;
  if (state_ == State::kFlushing && endpoint.output().empty()) return close();
  update_interest();
}

// Sends what the socket accepts, up to the limit per turn. False: the connection is broken.
bool Connection::send_some() {
  auto& output = session_.endpoint().output();
  bool progress = false;
  for (std::size_t left = kSendBytesPerTurn; left != 0 && !output.empty();) {
    std::array<iovec, kPieces> pieces;
    const auto count = output.gather(pieces);
    const auto sent = net::send(fd_.get(), {pieces.data(), count}, left);
    if (!sent.ok()) return false;
    if (*sent == 0) break;
    output.consume(*sent);
    left -= *sent;
    progress = true;
  }
  note_unread(progress);
  return true;
}

// Watches how long the peer leaves output unread. `progress`: the socket has taken some.
void Connection::note_unread(bool progress) {
  if (session_.endpoint().output().empty()) {
    unread_since_ = kNever;
  } else if (progress || unread_since_ == kNever) {
    unread_since_ = environment_.now();
    tick_.set(next_tick());
  }
}

void Connection::update_interest() {
  std::uint32_t wanted = 0;
  if (reads()) wanted |= kReadable;
  if (!session_.endpoint().output().empty()) wanted |= kWritable;
  if (wanted == interest_) return;
  // What we did not read is not late.
  if ((wanted & ~interest_ & kReadable) != 0 && frame_since_ != kNever) frame_since_ = environment_.now();
  interest_ = wanted;
  poll_.change(fd_.get(), interest_, *this);
  tick_.set(next_tick());
}

// ---------------------------------------------------------------- deadlines

TimePoint Connection::next_tick() const {
  const auto& options = environment_.options;
  if (state_ != State::kOpen) return close_at_;
  TimePoint next = deadline_after(unread_since_, options.unread_timeout);
  if (session_.endpoint().frames_received() == 0) next = std::min(next, opened_ + options.first_byte_timeout);
  return reads() ? std::min(next, deadline_after(frame_since_, options.frame_timeout)) : next;
}

void Connection::on_tick() {
  const auto now = environment_.now();
  const auto& options = environment_.options;
  if (close_at_ <= now) return close();
  // While we did nothing, the peer may have made room.
  if (deadline_after(unread_since_, options.unread_timeout) <= now) {
    if (!send_some()) return close();
    if (deadline_after(unread_since_, options.unread_timeout) <= now)
      return lose(wire::GoawayReason::kIdle, "the peer has not read its replies in time");
    flush_soon();
  } else if (next_tick() <= now && !catches_up()) {
    return;
  }
  tick_.set(next_tick());
}

// A request or the rest of a frame is late, but may have arrived since we read last. False: the connection has ended.
bool Connection::catches_up() {
  const auto& endpoint = session_.endpoint();
  const auto frames = endpoint.frames_received();
  read_input();
  if (state_ != State::kOpen) return false;
  if (endpoint.frames_received() != frames || (frames != 0 && !endpoint.mid_frame())) return true;
  lose(wire::GoawayReason::kLimit, frames == 0 ? "no request arrived in time" : "a frame was not completed in time");
  return false;
}

// ---------------------------------------------------------------- the end

// The peer is at fault.
void Connection::lose(wire::GoawayReason reason, const std::string& why) {
  environment_.report({}, "a connection is closed: " + why);
  session_.endpoint().send_goaway(reason, 0, why);
  end({wire::Code::kUnavailable, why});
}

void Connection::end(const wire::Status& status) {
  if (state_ != State::kOpen) return;
  session_.end_calls(&status);
  finish_soon();
}

void Connection::finish_soon() {
  if (state_ != State::kOpen) return;
  state_ = State::kFlushing;
  close_at_ = environment_.now() + kFlushTime;
  tick_.set(next_tick());
  flush_soon();
}

void Connection::close() {
  if (state_ == State::kClosed) return;
  state_ = State::kClosed;
  tick_.cancel();
  poll_.remove(fd_.get());
  session_.end_calls(nullptr);
  owner_.closed(*this);
}

}  // namespace hostcall::server
