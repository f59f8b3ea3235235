// The receiving half of Endpoint: what each frame means, and which frames the peer may not send. endpoint.cc has the
// sending half and the streams.
#include <algorithm>
#include <utility>

#include "proto/wire/endpoint.h"

namespace hostcall::wire {
namespace {

constexpr std::size_t kPingBytes = 8;
// The most skipped ids that a base client may still use.
constexpr std::size_t kMaxSkippedIds = 64;

std::string frame_name(const FrameHeader& header) {
  return "frame type " + std::to_string(static_cast<unsigned>(header.type)) + " on stream " +
         std::to_string(header.stream);
}

bool valid_request_flags(std::uint8_t flags) {
  // Some clients set kNoData on a Request without payload, as on a Data frame.
  flags &= static_cast<std::uint8_t>(~kNoData);
  return flags == 0 || flags == kRemoteOpen || flags == kRemoteClosed;
}

bool valid_data_flags(const FrameHeader& header) {
  if ((header.flags & ~(kRemoteClosed | kNoData)) != 0) return false;
  return (header.flags & kNoData) == 0 || header.length == 0;
}

}  // namespace

bool Endpoint::receive(std::string_view bytes) {
  if (violation_) return false;
  reader_.feed(bytes);
  while (!suspended_ && output_.bytes() <= pause_output_bytes_) {
    const auto frame = reader_.next();
    if (!frame) break;
    ++frames_received_;
    handle(*frame);
    if (violation_) return false;
  }
  if (const auto* broken = reader_.violation()) {
    if (const auto* header = reader_.oversized()) refuse_oversized(*header);
    violate(broken->kind, broken->text);
  }
  return !violation_;
}

// A frame beyond ttrpc's limit ends the connection, but its own call first, so that its caller learns why.
void Endpoint::refuse_oversized(const FrameHeader& header) {
  Stream* stream = nullptr;
  if (header.type == FrameType::kRequest && role_ == Role::kServer) stream = begin_remote_stream(header);
  if (header.type == FrameType::kResponse && role_ == Role::kClient) stream = streams_.find(header.stream);
  if (header.type == FrameType::kData) stream = streams_.find(header.stream);
  if (stream != nullptr && !stream->cancelled) events_.on_refused(*stream, Refusal::kTooLarge, header.type);
}

void Endpoint::handle(const Frame& frame) {
  switch (frame.header.type) {
    case FrameType::kRequest: return handle_request(frame);
    case FrameType::kResponse: return handle_response(frame);
    case FrameType::kData: return handle_data(frame);
    case FrameType::kCancel: return handle_cancel(frame);
    case FrameType::kWindow: return handle_window(frame);
    case FrameType::kPing:
    case FrameType::kPong: return handle_ping(frame);
    case FrameType::kGoaway: return handle_goaway(frame);
  }
  refuse_type(frame.header);
}

// Everything that ends the connection.

void Endpoint::violate(Violation::Kind kind, const char* what, const FrameHeader& frame) {
  violate(kind, std::string(what) + ": " + frame_name(frame));
}

void Endpoint::refuse_type(const FrameHeader& header) {
  violate(Violation::Kind::kBadFrame, "unknown " + frame_name(header));
}

void Endpoint::refuse_flags(const FrameHeader& header) {
  const auto* type = header.type == FrameType::kRequest ? "request flags " : "data flags ";
  violate(Violation::Kind::kBadFrame, type + std::to_string(header.flags) + ": " + frame_name(header));
}

void Endpoint::refuse_id(std::uint32_t id) {
  violate(Violation::Kind::kBadState, "stream ids must increase and may not be used twice: " + std::to_string(id) +
                                          " after " + std::to_string(last_remote_));
}

// ---------------------------------------------------------------- ttrpc's frames

// Checks a Request's id and flags and adds its stream. Null: refused, or ignored.
inline Stream* Endpoint::begin_remote_stream(const FrameHeader& header) {
  if (role_ == Role::kClient || !is_client_stream(header.stream)) {
    violate(Violation::Kind::kBadState, "even stream ids and requests to a client are reserved", header);
    return nullptr;
  }
  if (!valid_request_flags(header.flags)) {
    refuse_flags(header);
    return nullptr;
  }
  // After Goaway the caller knows that this call is not handled.
  if (goaway_sent_ && header.stream > last_remote_) return nullptr;
  auto* stream = take_remote_id(header.stream) ? add_stream(header.stream) : nullptr;
  if (stream == nullptr) {
    refuse_id(header.stream);
    return nullptr;
  }
  stream->remote_open = (header.flags & kRemoteOpen) != 0;
  stream->said_closed = (header.flags & kRemoteClosed) != 0;
  stream->local_open = true;
  return stream;
}

void Endpoint::handle_request(const Frame& frame) {
  const auto request = parse_request(frame.data);
  if (!request)
    return violate(Violation::Kind::kBadFrame, "the data of a request is not a Request message", frame.header);
  auto* stream = begin_remote_stream(frame.header);
  if (stream == nullptr) return;
  if (frame.refusal != Refusal::kNone) return events_.on_refused(*stream, frame.refusal, frame.header.type);
  events_.on_request(*stream, *request, stream->remote_open);
}

// Slow path: an id out of order. A base client may use an id late that it has skipped: ttrpc-rust assigns ids to
// concurrent calls before it queues them, so neighbours swap. With the extension the order is strict: Goaway's last
// stream needs it.
bool Endpoint::take_remote_id_slow(std::uint32_t id) {
  if (id <= last_remote_) return std::erase(skipped_, id) != 0;
  const bool strict = extension_.features != 0;
  constexpr std::uint32_t kReach = 2 * kMaxSkippedIds;
  const std::uint32_t oldest = std::max((last_remote_ + 1) | 1, id > kReach ? id - kReach : 1);
  for (std::uint32_t skipped = strict ? id : oldest; skipped < id; skipped += 2) skipped_.push_back(skipped);
  if (skipped_.size() > kMaxSkippedIds)
    skipped_.erase(skipped_.begin(), skipped_.end() - static_cast<std::ptrdiff_t>(kMaxSkippedIds));
  last_remote_ = id;
  return true;
}

void Endpoint::handle_response(const Frame& frame) {
  if (role_ != Role::kClient) return violate(Violation::Kind::kBadState, "a response to a server", frame.header);
  auto* stream = streams_.find(frame.header.stream);
  if (stream == nullptr) {
    if (is_past_stream(frame.header.stream)) return;  // cancelled before the answer came
    return violate(Violation::Kind::kBadState, "a response without a request", frame.header);
  }
  const auto response = parse_response(frame.data);
  if (!response)
    return violate(Violation::Kind::kBadFrame, "the data of a response is not a Response message", frame.header);
  if (frame.refusal != Refusal::kNone)
    events_.on_refused(*stream, frame.refusal, frame.header.type);
  else
    events_.on_response(*stream, *response);
  if (auto* still = streams_.find(frame.header.stream)) end(*still);
}

void Endpoint::handle_data(const Frame& frame) {
  const auto& header = frame.header;
  if (!valid_data_flags(header)) return refuse_flags(header);
  const bool closes = (header.flags & kRemoteClosed) != 0;
  // A bare end of stream costs nothing: it must get through a window that is used up.
  const bool bare_end = closes && (header.flags & kNoData) != 0;
  const auto cost = bare_end ? 0 : data_cost(header.length);
  auto* stream = streams_.find(header.stream);
  if (!charge_data(stream, header, cost)) return;
  if (stream == nullptr) return settle_connection_credit(cost);  // late data of an ended call
  if (closes) stream->remote_open = false;
  if (stream->cancelled) return settle_connection_credit(cost);
  // An empty frame is an empty message, unless it ends the stream.
  const bool has_message = (header.flags & kNoData) == 0 && !(closes && header.length == 0);
  if (has_message && frame.refusal == Refusal::kNone) {
    stream->unconsumed += cost;
    events_.on_data(*stream, frame.data);
  } else {
    give_back(*stream, cost);
    if (has_message) events_.on_refused(*stream, frame.refusal, header.type);
  }
  if (closes) close_remote(header.stream);
}

// Checks that the stream's state and both windows allow a Data frame, and charges its cost.
bool Endpoint::charge_data(Stream* stream, const FrameHeader& header, std::int64_t cost) {
  if (stream == nullptr && !is_past_stream(header.stream)) {
    violate(Violation::Kind::kBadState, "data on a stream that was never opened", header);
  } else if (stream != nullptr && !stream->remote_open) {
    violate(Violation::Kind::kBadState, "data on a stream whose sender may not send", header);
  } else if (has(kFeatureWindow) && cost != 0) {
    if (!receive_window_.take(cost))
      violate(Violation::Kind::kBadWindow, "data beyond the connection's window", header);
    else if (stream != nullptr && !stream->receive_window.take(cost))
      violate(Violation::Kind::kBadWindow, "data beyond the stream's window", header);
  }
  return !violation_;
}

// The peer has closed its side. The last message may have ended the call already.
void Endpoint::close_remote(std::uint32_t id) {
  auto* stream = streams_.find(id);
  if (stream == nullptr) return;
  events_.on_remote_closed(*stream);
  if (role_ != Role::kClient) return;
  if (auto* still = streams_.find(id)) end(*still);
}

// ---------------------------------------------------------------- the extension's frames

bool Endpoint::require_extension(Feature feature, const FrameHeader& header) {
  if (has(feature)) return true;
  violate(Violation::Kind::kBadState, "an extension frame that was not agreed", header);
  return false;
}

void Endpoint::handle_cancel(const Frame& frame) {
  if (!require_extension(kFeatureCancel, frame.header)) return;
  if (role_ != Role::kServer || frame.data.size() != sizeof(std::uint32_t))
    return violate(Violation::Kind::kBadFrame, "bad Cancel", frame.header);
  auto* stream = streams_.find(frame.header.stream);
  if (stream == nullptr) {
    if (is_past_stream(frame.header.stream)) return;  // it crossed the response
    return violate(Violation::Kind::kBadState, "Cancel of a call that never began", frame.header);
  }
  if (stream->cancelled) return;
  stream->cancelled = true;
  stream->local_open = false;
  stream->unlink();
  events_.on_cancel(*stream, static_cast<Code>(load_be32(frame.data.data())));
}

void Endpoint::handle_window(const Frame& frame) {
  if (!require_extension(kFeatureWindow, frame.header)) return;
  const std::uint32_t credit = frame.data.size() == sizeof(std::uint32_t) ? load_be32(frame.data.data()) : 0;
  if (credit == 0) return violate(Violation::Kind::kBadFrame, "bad Window", frame.header);
  auto* stream = frame.header.stream == 0 ? nullptr : streams_.find(frame.header.stream);
  if (frame.header.stream != 0 && stream == nullptr) {
    if (is_past_stream(frame.header.stream)) return;
    return violate(Violation::Kind::kBadState, "Window for no stream", frame.header);
  }
  auto& window = stream == nullptr ? send_window_ : stream->send_window;
  const bool was_open = window.open();
  if (!window.add(credit)) return violate(Violation::Kind::kBadWindow, "credit above 2^31-1", frame.header);
  // Only a window that opens unblocks streams, so that a flood of small grants costs nothing.
  if (was_open || !window.open()) return;
  stream == nullptr ? wake_blocked() : wake(*stream);
}

void Endpoint::handle_ping(const Frame& frame) {
  if (!require_extension(kFeaturePing, frame.header)) return;
  if (frame.header.stream != 0 || frame.data.size() != kPingBytes)
    return violate(Violation::Kind::kBadFrame, "bad Ping or Pong", frame.header);
  // A Pong needs no handling: every received byte is a sign of life.
  if (frame.header.type == FrameType::kPing) write_ping(FrameType::kPong, frame.data);
}

void Endpoint::handle_goaway(const Frame& frame) {
  if (!require_extension(kFeatureGoaway, frame.header)) return;
  const auto goaway = decode_goaway(frame.data);
  if (!goaway || frame.header.stream != 0) return violate(Violation::Kind::kBadFrame, "bad Goaway", frame.header);
  goaway_received_ = true;
  events_.on_goaway(*goaway);
}

}  // namespace hostcall::wire
