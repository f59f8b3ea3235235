// The sending half of Endpoint, and its streams. endpoint_receive.cc has the receiving half.
#include "proto/wire/endpoint.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <cstring>
#include <utility>

#include "proto/base/bounded_text.h"
#include "proto/wire/crc32c.h"

namespace hostcall::wire {
namespace {

// From this size on, sending Data in place costs less than copying it.
constexpr std::size_t kInPlaceBytes = 16 * 1024;

}  // namespace

Endpoint::Endpoint(const EndpointOptions& options, EndpointEvents& events)
    : events_(events),
      reader_(options.max_message_bytes, options.budget),
      output_(options.chunks),
      sender_(options.sender),
      output_watermark_(options.output_watermark),
      pause_output_bytes_(options.pause_output_bytes),
      next_local_(options.first_stream),
      role_(options.role) {
  assert(is_client_stream(options.first_stream));
}

// ---------------------------------------------------------------- bytes out

template <class Fill>
void Endpoint::write_frame(FrameHeader header, Fill fill) {
  const std::size_t covered = kHeaderBytes + header.length;
  char* out = output_.extend(covered + (has(kFeatureCrc32c) ? kCrcBytes : 0));
  encode_header(header, out);
  fill(out + kHeaderBytes);
  if (has(kFeatureCrc32c)) store_be32(out + covered, crc32c(0, {out, covered}));
}

void Endpoint::write_window(std::uint32_t stream, std::uint32_t credit) {
  write_frame({.length = sizeof credit, .stream = stream, .type = FrameType::kWindow, .flags = 0},
              [&](char* out) { store_be32(out, credit); });
}

void Endpoint::write_ping(FrameType type, std::string_view token) {
  write_frame({.length = static_cast<std::uint32_t>(token.size()), .stream = 0, .type = type, .flags = 0},
              [&](char* out) { token.copy(out, token.size()); });
}

void Endpoint::violate(Violation::Kind kind, std::string text) {
  if (!violation_) violation_ = std::make_unique<Violation>(Violation{kind, std::move(text)});
}

void Endpoint::output_drained() {
  if (wants_room_ && !no_room()) wake_blocked();
}

// Lets blocked streams try again in the order in which they blocked. One that blocks again goes behind those that had
// no turn, which it would starve otherwise.
void Endpoint::wake_blocked() {
  LinkedList<Stream> waiting, passed_over;
  waiting.append(blocked_);
  wants_room_ = false;
  while (!waiting.empty() && !no_stream_may_send()) {
    auto& stream = *waiting.pop_front();
    if (may_send(stream))
      events_.on_writable(stream);
    else
      passed_over.push_back(stream);
  }
  wants_room_ |= !waiting.empty() && no_room();
  passed_over.append(waiting);
  passed_over.append(blocked_);
  blocked_.append(passed_over);
}

// The stream has credit again.
void Endpoint::wake(Stream& stream) {
  if (!stream.is_linked()) return;
  if (may_send(stream)) {
    stream.unlink();
    events_.on_writable(stream);
  } else {
    wants_room_ |= no_room();
  }
}

void Endpoint::enable(const Extension& extension) {
  const auto valid = [](std::uint32_t window) { return window != 0 && window <= kMaxCredit; };
  if ((extension.features & kFeatureWindow) != 0 &&
      (!valid(extension.stream_window) || !valid(extension.connection_window)))
    return violate(Violation::Kind::kBadWindow, "initial window outside 1 to 2^31-1");
  extension_ = extension;
  skipped_ = {};
  send_window_ = SendWindow(extension.connection_window);
  receive_window_ = ReceiveWindow(extension.connection_window);
  if (has(kFeatureCrc32c)) reader_.expect_crc();
}

void Endpoint::send_ping(std::uint64_t token) {
  if (!has(kFeaturePing)) return;
  write_ping(FrameType::kPing, {reinterpret_cast<const char*>(&token), sizeof token});
}

void Endpoint::send_goaway(GoawayReason reason, std::uint32_t retry_after_ms, std::string_view full_text) {
  if (goaway_sent_ || !has(kFeatureGoaway)) return;
  goaway_sent_ = true;
  const auto text = bounded_text(full_text, kMaxGoawayText);
  const auto length = static_cast<std::uint32_t>(kGoawayFixedBytes + text.size());
  write_frame({.length = length, .stream = 0, .type = FrameType::kGoaway, .flags = 0}, [&](char* out) {
    store_be32(out, last_remote_);
    store_be32(out + 4, static_cast<std::uint32_t>(reason));
    store_be32(out + 8, retry_after_ms);
    text.copy(out + kGoawayFixedBytes, text.size());
  });
}

// ---------------------------------------------------------------- calls

void Endpoint::respond(Stream& stream, const Status& status, const Payload& payload) {
  if (status.message.size() > kMaxToldText)
    return respond(stream, {status.code, bounded_text(status.message), status.retry_after, status.details}, payload);
  if (!stream.cancelled) {
    const Payload body = status.ok() ? payload : Payload{};
    const auto size = response_size(status, body.size());
    assert(size <= kMaxDataBytes);
    write_frame(
        {.length = static_cast<std::uint32_t>(size), .stream = stream.id(), .type = FrameType::kResponse, .flags = 0},
        [&](char* out) { write_response(status, body, out); });
  }
  end(stream);
}

void Endpoint::close_stream(Stream& stream) {
  if (!stream.cancelled)
    write_frame({.length = 0, .stream = stream.id(), .type = FrameType::kData, .flags = kRemoteClosed | kNoData},
                [](char*) {});
  end(stream);
}

void Endpoint::forget(Stream& stream) { end(stream); }

Stream& Endpoint::open(const RequestFields& fields, const Payload& payload, Shape shape) {
  assert(role_ == Role::kClient && can_open());
  auto& stream = *add_stream(next_local_);
  next_local_ += 2;
  stream.local_open = client_streams(shape);
  stream.remote_open = server_streams(shape);
  const std::uint8_t flags = shape == Shape::kUnary ? 0 : client_streams(shape) ? kRemoteOpen : kRemoteClosed;
  const auto size = request_size(fields, payload.size());
  assert(size <= kMaxDataBytes);
  write_frame(
      {.length = static_cast<std::uint32_t>(size), .stream = stream.id(), .type = FrameType::kRequest, .flags = flags},
      [&](char* out) { write_request(fields, payload, out); });
  return stream;
}

void Endpoint::cancel(Stream& stream, Code code) {
  if (has(kFeatureCancel))
    write_frame({.length = sizeof(std::uint32_t), .stream = stream.id(), .type = FrameType::kCancel, .flags = 0},
                [&](char* out) { store_be32(out, static_cast<std::uint32_t>(code)); });
  end(stream);
}

void Endpoint::close_send(Stream& stream) {
  if (!stream.local_open) return;
  stream.local_open = false;
  stream.unlink();
  write_frame({.length = 0, .stream = stream.id(), .type = FrameType::kData, .flags = kRemoteClosed | kNoData},
              [](char*) {});
}

bool Endpoint::may_send(const Stream& stream) const {
  if (has(kFeatureWindow) && !(send_window_.open() && stream.send_window.open())) return false;
  return !no_room();
}

bool Endpoint::no_stream_may_send() const { return no_room() || (has(kFeatureWindow) && !send_window_.open()); }

SendOutcome Endpoint::ready_to_send(Stream& stream) {
  if (!stream.local_open) return SendOutcome::kEnded;
  if (may_send(stream)) return SendOutcome::kSent;
  wants_room_ |= no_room();
  if (!stream.is_linked()) blocked_.push_back(stream);
  return SendOutcome::kBlocked;
}

SendOutcome Endpoint::send_data(Stream& stream, const Payload& payload) {
  assert(payload.size() <= kMaxDataBytes);
  if (const auto outcome = ready_to_send(stream); outcome != SendOutcome::kSent) return outcome;
  if (has(kFeatureWindow)) {
    const auto cost = data_cost(payload.size());
    send_window_.pay(cost);
    stream.send_window.pay(cost);
  }
  const FrameHeader header{.length = static_cast<std::uint32_t>(payload.size()),
                           .stream = stream.id(),
                           .type = FrameType::kData,
                           .flags = 0};
  if (!send_in_place(header, payload)) write_frame(header, [&](char* out) { payload.write(out); });
  return SendOutcome::kSent;
}

// Sends a large frame from where its data lies. False: did nothing.
bool Endpoint::send_in_place(const FrameHeader& header, const Payload& payload) {
  if (sender_ == nullptr || payload.size() < kInPlaceBytes) return false;
  std::array<iovec, OutQueue::kMaxFramePieces> pieces;
  const auto count = payload.locate(std::span(pieces).subspan(1, pieces.size() - 2));
  if (count == 0) return false;
  char head[kHeaderBytes];
  char trailer[kCrcBytes];
  encode_header(header, head);
  pieces[0] = {head, sizeof head};
  auto frame = std::span(pieces).first(1 + count);
  if (has(kFeatureCrc32c)) {
    std::uint32_t crc = 0;
    for (const auto& piece : frame) crc = crc32c(crc, {static_cast<const char*>(piece.iov_base), piece.iov_len});
    store_be32(trailer, crc);
    pieces[frame.size()] = {trailer, sizeof trailer};
    frame = std::span(pieces).first(frame.size() + 1);
  }
  output_.send(*sender_, frame);
  return true;
}

void Endpoint::consumed(Stream& stream, std::size_t data_bytes) {
  const auto cost = data_cost(data_bytes);
  assert(cost <= stream.unconsumed);
  stream.unconsumed -= cost;
  give_back(stream, cost);
}

void Endpoint::kept(Stream& stream, std::size_t data_bytes) {
  const auto cost = data_cost(data_bytes);
  stream.kept += cost;
  settle_connection_credit(cost);
}

void Endpoint::grant(std::uint32_t credit) {
  if (!has(kFeatureWindow) || credit == 0) return;
  receive_window_.add(credit);
  write_window(0, credit);
}

// The owner has used the bytes behind `cost`: grants the peer as much credit again.
void Endpoint::give_back(Stream& stream, std::int64_t cost) {
  if (has(kFeatureWindow) && stream.remote_open && !stream.cancelled)
    if (const auto credit = stream.receive_window.used(cost); credit != 0) write_window(stream.id(), credit);
  const auto settled = std::min(cost, stream.kept);
  stream.kept -= settled;
  settle_connection_credit(cost - settled);
}

void Endpoint::settle_connection_credit(std::int64_t cost) {
  if (!has(kFeatureWindow)) return;
  if (const auto credit = receive_window_.used(cost); credit != 0) write_window(0, credit);
}

// ---------------------------------------------------------------- streams

bool Endpoint::is_past_stream(std::uint32_t id) const {
  if (!is_client_stream(id)) return false;
  return role_ == Role::kClient ? id < next_local_ : id <= last_remote_ || goaway_sent_;
}

Stream* Endpoint::add_stream(std::uint32_t id) {
  return streams_.add(id, extension_.stream_window, extension_.stream_window);
}

void Endpoint::end(Stream& stream) {
  if (stream.unconsumed != stream.kept) settle_connection_credit(stream.unconsumed - stream.kept);
  streams_.erase(stream);
}

}  // namespace hostcall::wire
