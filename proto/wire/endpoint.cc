#include "proto/wire/endpoint.h"

#include <algorithm>
#include <cassert>
#include <cstring>
#include <utility>

#include "proto/wire/crc32c.h"

namespace hostcall::wire {
namespace {

constexpr std::uint32_t kLastClientStream = 0xFFFFFFFDu;  // the largest odd id but one: never wraps
constexpr std::size_t kPingBytes = 8;

std::string frame_name(const FrameHeader& header) {
  return "frame type " + std::to_string(static_cast<unsigned>(header.type)) + " on stream " +
         std::to_string(header.stream);
}

bool is_odd(std::uint32_t id) { return (id & 1) != 0; }

}  // namespace

Endpoint::Endpoint(const EndpointOptions& options, EndpointEvents& events)
    : events_(events),
      reader_(options.max_message_bytes, options.budget),
      output_watermark_(options.output_watermark),
      role_(options.role) {}

// ---------------------------------------------------------------- bytes in

bool Endpoint::receive(std::string_view bytes) {
  if (violation_) return false;
  reader_.feed(bytes);
  while (const auto frame = reader_.next()) {
    ++frames_received_;
    handle(*frame);
    if (violation_) return false;
  }
  if (reader_.violation()) violate(reader_.violation()->kind, reader_.violation()->text);
  return !violation_;
}

void Endpoint::handle(const Frame& frame) {
  if (frame.refusal != Refusal::kNone) return handle_refused(frame);
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
  violate(Violation::Kind::kBadFrame, "unknown " + frame_name(frame.header));
}

// Checks a Request's id and flags and adds its stream. Null: refused or to be ignored.
Stream* Endpoint::begin_remote_stream(const FrameHeader& header) {
  if (role_ == Role::kClient || !is_odd(header.stream)) {
    violate(Violation::Kind::kBadState, "even stream ids and requests to a client are reserved: " + frame_name(header));
    return nullptr;
  }
  if (header.stream <= last_remote_) {
    violate(Violation::Kind::kBadState,
            "stream ids must increase: " + std::to_string(header.stream) + " after " + std::to_string(last_remote_));
    return nullptr;
  }
  if (header.flags != 0 && header.flags != kRemoteOpen && header.flags != kRemoteClosed) {
    violate(Violation::Kind::kBadFrame,
            "request flags " + std::to_string(header.flags) + " on stream " + std::to_string(header.stream));
    return nullptr;
  }
  // After Goaway the caller knows that this call was not looked at.
  if (goaway_sent_) return nullptr;
  last_remote_ = header.stream;
  auto& stream = add_stream(header.stream);
  stream.remote_open = (header.flags & kRemoteOpen) != 0;
  stream.local_open = true;
  return &stream;
}

void Endpoint::handle_request(const Frame& frame) {
  auto* stream = begin_remote_stream(frame.header);
  if (stream == nullptr) return;
  const auto request = parse_request(frame.data);
  if (!request)
    return violate(Violation::Kind::kBadFrame,
                   "the data of a request is no Request message: " + frame_name(frame.header));
  events_.on_request(*stream, *request, stream->remote_open);
}

void Endpoint::handle_response(const Frame& frame) {
  if (role_ != Role::kClient)
    return violate(Violation::Kind::kBadState, "a response to a server: " + frame_name(frame.header));
  auto* stream = find(frame.header.stream);
  if (stream == nullptr) {
    if (is_past_stream(frame.header.stream)) return;  // given up before the answer came
    return violate(Violation::Kind::kBadState, "a response to no request: " + frame_name(frame.header));
  }
  const auto response = parse_response(frame.data);
  if (!response)
    return violate(Violation::Kind::kBadFrame,
                   "the data of a response is no Response message: " + frame_name(frame.header));
  events_.on_response(*stream, *response);
  if (auto* still = find(frame.header.stream)) end(*still);
}

void Endpoint::handle_data(const Frame& frame) {
  const auto& header = frame.header;
  if ((header.flags & ~(kRemoteClosed | kNoData)) != 0 || ((header.flags & kNoData) != 0 && !frame.data.empty()))
    return violate(Violation::Kind::kBadFrame,
                   "data flags " + std::to_string(header.flags) + ": " + frame_name(header));
  const bool closes = (header.flags & kRemoteClosed) != 0;
  // The bare end of a stream is free: it must get through when the window is used up.
  const bool bare_end = closes && (header.flags & kNoData) != 0;
  const auto cost = data_cost(frame.data.size());
  if (has(kFeatureWindow) && !bare_end && !receive_window_.take(cost))
    return violate(Violation::Kind::kBadWindow, "data beyond the connection's window: " + frame_name(header));
  auto* stream = find(header.stream);
  if (stream == nullptr) {
    if (!is_past_stream(header.stream))
      return violate(Violation::Kind::kBadState, "data on a stream that was never opened: " + frame_name(header));
    if (!bare_end) settle_connection_credit(cost);  // late data of an ended call
    return;
  }
  if (!stream->remote_open)
    return violate(Violation::Kind::kBadState, "data on a stream that its sender has closed: " + frame_name(header));
  if (has(kFeatureWindow) && !bare_end && !stream->receive_window.take(cost))
    return violate(Violation::Kind::kBadWindow, "data beyond the stream's window: " + frame_name(header));
  // An empty frame is an empty message, but for one that ends the stream.
  const bool has_message = (header.flags & kNoData) == 0 && !(closes && frame.data.empty());
  if (closes) stream->remote_open = false;
  if (has_message && !stream->cancelled) {
    events_.on_data(*stream, frame.data);
  } else if (!bare_end) {
    settle_connection_credit(cost);
  }
  if (!closes) return;
  stream = find(header.stream);
  if (stream == nullptr || stream->cancelled) return;
  events_.on_remote_closed(*stream);
  if (role_ != Role::kClient) return;
  if (auto* still = find(header.stream)) end(*still);
}

void Endpoint::handle_cancel(const Frame& frame) {
  if (!require_extension(kFeatureCancel, frame.header)) return;
  if (role_ != Role::kServer || frame.data.size() != sizeof(std::uint32_t))
    return violate(Violation::Kind::kBadFrame, "bad Cancel: " + frame_name(frame.header));
  auto* stream = find(frame.header.stream);
  if (stream == nullptr) {
    if (is_past_stream(frame.header.stream)) return;  // it crossed the answer
    return violate(Violation::Kind::kBadState, "Cancel of a call that never began: " + frame_name(frame.header));
  }
  if (stream->cancelled) return;
  stream->cancelled = true;
  stream->local_open = false;
  events_.on_cancel(*stream, static_cast<Code>(load_be32(frame.data.data())));
}

void Endpoint::handle_window(const Frame& frame) {
  if (!require_extension(kFeatureWindow, frame.header)) return;
  const std::uint32_t credit = frame.data.size() == sizeof(std::uint32_t) ? load_be32(frame.data.data()) : 0;
  if (credit == 0) return violate(Violation::Kind::kBadFrame, "bad Window: " + frame_name(frame.header));
  auto* stream = frame.header.stream == 0 ? nullptr : find(frame.header.stream);
  if (frame.header.stream != 0 && stream == nullptr) {
    if (is_past_stream(frame.header.stream)) return;
    return violate(Violation::Kind::kBadState, "Window for no stream: " + frame_name(frame.header));
  }
  auto& window = stream == nullptr ? send_window_ : stream->send_window;
  if (!window.add(credit))
    return violate(Violation::Kind::kBadWindow, "credit above 2^31-1: " + frame_name(frame.header));
  wake_blocked();
}

void Endpoint::handle_ping(const Frame& frame) {
  if (!require_extension(kFeaturePing, frame.header)) return;
  if (frame.header.stream != 0 || frame.data.size() != kPingBytes)
    return violate(Violation::Kind::kBadFrame, "bad Ping or Pong: " + frame_name(frame.header));
  // A Pong only had to arrive: every received byte is a sign of life.
  if (frame.header.type == FrameType::kPong) return;
  write_frame({.length = kPingBytes, .stream = 0, .type = FrameType::kPong, .flags = 0},
              [&](char* out) { std::memcpy(out, frame.data.data(), kPingBytes); });
}

void Endpoint::handle_goaway(const Frame& frame) {
  if (!require_extension(kFeatureGoaway, frame.header)) return;
  const auto goaway = decode_goaway(frame.data);
  if (!goaway || frame.header.stream != 0)
    return violate(Violation::Kind::kBadFrame, "bad Goaway: " + frame_name(frame.header));
  goaway_received_ = true;
  events_.on_goaway(*goaway);
}

void Endpoint::handle_refused(const Frame& frame) {
  const auto& header = frame.header;
  if (header.type == FrameType::kRequest) {
    if (auto* stream = begin_remote_stream(header)) events_.on_refused(*stream, frame.refusal, header.type);
    return;
  }
  if (header.type != FrameType::kData && header.type != FrameType::kResponse)
    return violate(Violation::Kind::kBadFrame, "too long: " + frame_name(header));
  // The credit was paid although the message is lost.
  if (header.type == FrameType::kData && has(kFeatureWindow)) {
    if (!receive_window_.take(data_cost(header.length)))
      return violate(Violation::Kind::kBadWindow, "data beyond the connection's window: " + frame_name(header));
    settle_connection_credit(data_cost(header.length));
  }
  auto* stream = find(header.stream);
  if (stream != nullptr && !stream->cancelled) return events_.on_refused(*stream, frame.refusal, header.type);
  if (stream == nullptr && !is_past_stream(header.stream))
    violate(Violation::Kind::kBadState, "a message on a stream that was never opened: " + frame_name(header));
}

bool Endpoint::require_extension(Feature feature, const FrameHeader& header) {
  if (has(feature)) return true;
  violate(Violation::Kind::kBadState, "an extension frame that was not agreed on: " + frame_name(header));
  return false;
}

void Endpoint::violate(Violation::Kind kind, std::string text) {
  if (!violation_) violation_ = Violation{kind, std::move(text)};
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

void Endpoint::output_drained() {
  if (!has(kFeatureWindow)) wake_blocked();
}

void Endpoint::wake_blocked() {
  // A woken stream may block again at once: it joins a new list.
  auto waiting = std::exchange(blocked_, {});
  for (auto it = waiting.begin(); it != waiting.end(); ++it) {
    auto* stream = find(*it);
    if (stream == nullptr || !stream->wants_writable) continue;
    if (!may_send(*stream)) {
      blocked_.push_back(*it);
      continue;
    }
    stream->wants_writable = false;
    events_.on_writable(*stream);
  }
}

void Endpoint::enable(const Extension& extension) {
  extension_ = extension;
  send_window_ = SendWindow(extension.connection_window);
  receive_window_ = ReceiveWindow(extension.connection_window);
  if (has(kFeatureCrc32c)) reader_.expect_crc();
}

void Endpoint::send_ping(std::uint64_t token) {
  if (!has(kFeaturePing)) return;
  write_frame({.length = kPingBytes, .stream = 0, .type = FrameType::kPing, .flags = 0},
              [&](char* out) { std::memcpy(out, &token, kPingBytes); });
}

void Endpoint::send_goaway(GoawayReason reason, std::uint32_t retry_after_ms, std::string_view text) {
  if (goaway_sent_) return;
  goaway_sent_ = true;
  if (!has(kFeatureGoaway)) return;
  text = text.substr(0, kMaxGoawayText);
  constexpr std::uint32_t kFixed = 12;
  write_frame(
      {.length = kFixed + static_cast<std::uint32_t>(text.size()), .stream = 0, .type = FrameType::kGoaway, .flags = 0},
      [&](char* out) {
        store_be32(out, last_remote_);
        store_be32(out + 4, static_cast<std::uint32_t>(reason));
        store_be32(out + 8, retry_after_ms);
        text.copy(out + kFixed, text.size());
      });
}

// ---------------------------------------------------------------- calls

void Endpoint::respond(Stream& stream, const Status& status, const Payload& payload) {
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

bool Endpoint::can_open() const { return !goaway_received_ && !violation_ && next_local_ <= kLastClientStream; }

Stream& Endpoint::open(const RequestFields& fields, const Payload& payload, Shape shape) {
  assert(role_ == Role::kClient && can_open());
  auto& stream = add_stream(next_local_);
  next_local_ += 2;
  stream.local_open = client_streams(shape);
  stream.remote_open = true;
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
  write_frame({.length = 0, .stream = stream.id(), .type = FrameType::kData, .flags = kRemoteClosed | kNoData},
              [](char*) {});
}

bool Endpoint::may_send(const Stream& stream) const {
  if (has(kFeatureWindow)) return send_window_.open() && stream.send_window.open();
  return output_.bytes() < output_watermark_;
}

SendOutcome Endpoint::send_data(Stream& stream, const Payload& payload) {
  assert(payload.size() <= kMaxDataBytes);
  if (!stream.local_open) return SendOutcome::kEnded;
  if (!may_send(stream)) {
    if (!std::exchange(stream.wants_writable, true)) blocked_.push_back(stream.id());
    return SendOutcome::kBlocked;
  }
  if (has(kFeatureWindow)) {
    const auto cost = data_cost(payload.size());
    send_window_.pay(cost);
    stream.send_window.pay(cost);
  }
  write_frame({.length = static_cast<std::uint32_t>(payload.size()),
               .stream = stream.id(),
               .type = FrameType::kData,
               .flags = 0},
              [&](char* out) { payload.write(out); });
  return SendOutcome::kSent;
}

void Endpoint::consumed(Stream& stream, std::size_t data_bytes) {
  if (!has(kFeatureWindow)) return;
  const auto cost = data_cost(data_bytes);
  if (stream.remote_open)
    if (const auto credit = stream.receive_window.used(cost); credit != 0) write_window(stream.id(), credit);
  settle_connection_credit(cost);
}

void Endpoint::settle_connection_credit(std::int64_t cost) {
  if (!has(kFeatureWindow)) return;
  if (const auto credit = receive_window_.used(cost); credit != 0) write_window(0, credit);
}

// ---------------------------------------------------------------- streams

Stream* Endpoint::find(std::uint32_t id) {
  const auto it = streams_.find(id);
  return it == streams_.end() ? nullptr : &it->second;
}

bool Endpoint::is_past_stream(std::uint32_t id) const {
  if (!is_odd(id)) return false;
  return role_ == Role::kClient ? id < next_local_ : id <= last_remote_ || goaway_sent_;
}

Stream& Endpoint::add_stream(std::uint32_t id) {
  return streams_.try_emplace(id, id, extension_.stream_window, extension_.stream_window).first->second;
}

void Endpoint::end(Stream& stream) { streams_.erase(stream.id()); }

}  // namespace hostcall::wire
