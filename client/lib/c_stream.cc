// hostcall.h: streams.
#include <algorithm>
#include <cstdint>

#include "client/lib/c_api.h"

namespace client = hostcall::client;
namespace wire = hostcall::wire;
using hostcall::Clock;

static_assert(HOSTCALL_READABLE == client::kReadable && HOSTCALL_WRITABLE == client::kWritable &&
              HOSTCALL_CLOSED == client::kClosed);
static_assert(HOSTCALL_CLIENT_STREAM == static_cast<int>(wire::Shape::kClientStream) &&
              HOSTCALL_SERVER_STREAM == static_cast<int>(wire::Shape::kServerStream) &&
              HOSTCALL_BIDI_STREAM == static_cast<int>(wire::Shape::kBidiStream));

struct hostcall_stream final : client::CallObserver {
  void on_call_events(client::Call&, unsigned events) override {
    if (callback != nullptr) callback(user, this, events);
  }

  hostcall_stream_callback callback = nullptr;
  void* user = nullptr;
  client::CallResult result;
  hostcall::Buffer memory;  // for Call::keep()
  client::Call call{result};
};

namespace {

using client::guarded;

// Null once the client has been freed; the call has ended then.
client::Channel* channel_of(hostcall_stream& stream) { return stream.call.channel; }

int take(client::Call& call, const void** data, std::size_t* size) {
  const auto message = call.channel == nullptr ? call.inbox.take() : call.channel->take(call);
  *data = message.data();
  *size = message.size();
  return HOSTCALL_OK;
}

int try_receive(hostcall_stream& stream, const void** data, std::size_t* size) {
  if (!stream.call.inbox.empty()) return take(stream.call, data, size);
  stream.call.inbox.release();
  return stream.call.ended() ? HOSTCALL_STREAM_END : HOSTCALL_WOULD_BLOCK;
}

int try_send(hostcall_stream& stream, const wire::Payload& message) {
  auto& call = stream.call;
  if (call.ended()) return HOSTCALL_STREAM_END;
  if (call.send_closed) return HOSTCALL_FAILED_PRECONDITION;
  switch (channel_of(stream)->send(call, message)) {
    case wire::SendOutcome::kSent: return HOSTCALL_OK;
    case wire::SendOutcome::kBlocked: return HOSTCALL_WOULD_BLOCK;
    case wire::SendOutcome::kEnded: break;
  }
  return HOSTCALL_STREAM_END;
}

bool are_valid(const iovec* pieces, std::size_t count) {
  if (count > HOSTCALL_MAX_PIECES || (count != 0 && pieces == nullptr)) return false;
  return std::all_of(pieces, pieces + count,
                     [](const iovec& piece) { return piece.iov_len == 0 || piece.iov_base != nullptr; });
}

// The sum stops at the largest size: one that wraps would let too large a message pass as a small one.
wire::Pieces to_wire(const iovec* pieces, std::size_t count) {
  wire::Pieces message{{pieces, count}};
  for (const auto& piece : message.list) message.size += std::min(piece.iov_len, SIZE_MAX - message.size);
  return message;
}

// Repeats `attempt` until it does not return HOSTCALL_WOULD_BLOCK.
template <class Attempt>
int block(hostcall_stream& stream, Attempt attempt) {
  for (;;) {
    const int code = attempt();
    if (code != HOSTCALL_WOULD_BLOCK) return code;
    channel_of(stream)->wait(hostcall::kNever);
  }
}

int send(hostcall_stream& stream, const wire::Payload& message) {
  const int code = block(stream, [&] { return try_send(stream, message); });
  if (code == HOSTCALL_OK) channel_of(stream)->flush(Clock::now());
  return code;
}

}  // namespace

int hostcall_stream_open(hostcall_client* owner, const char* method, int shape, hostcall_payload request,
                         const hostcall_call_options* options, hostcall_stream** stream, hostcall_result* result) {
  return guarded(result, [&]() -> int {
    if (owner == nullptr || stream == nullptr)
      return client::fail(result, HOSTCALL_INVALID_ARGUMENT, "client or stream is null");
    *stream = nullptr;
    if (shape < HOSTCALL_CLIENT_STREAM || shape > HOSTCALL_BIDI_STREAM)
      return client::fail(result, HOSTCALL_INVALID_ARGUMENT, "shape is not a hostcall_shape");
    if (shape != HOSTCALL_SERVER_STREAM && request.size != 0)
      return client::fail(result, HOSTCALL_INVALID_ARGUMENT, "only a SERVER_STREAM takes a request");
    auto opened = std::make_unique<hostcall_stream>();
    auto& call = opened->call;
    const auto now = Clock::now();
    if (const auto* error = client::read_call(owner->channel.options(), {method, request, options}, now, call.spec))
      return client::fail(result, HOSTCALL_INVALID_ARGUMENT, error);
    call.spec.shape = static_cast<wire::Shape>(shape);
    call.send_closed = !wire::client_streams(call.spec.shape);
    call.keep(opened->memory);
    owner->channel.begin(call, now);
    if (call.ended() && call.result.status.code == wire::Code::kResourceExhausted)
      return client::fail(result, HOSTCALL_RESOURCE_EXHAUSTED, call.result.status.message);
    *stream = opened.release();
    return client::fail(result, HOSTCALL_OK, {});
  });
}

int hostcall_stream_try_send(hostcall_stream* stream, hostcall_payload message) {
  if (stream == nullptr || !client::is_valid(message)) return HOSTCALL_INVALID_ARGUMENT;
  return guarded(nullptr, [&] { return try_send(*stream, client::to_wire(message)); });
}

int hostcall_stream_try_sendv(hostcall_stream* stream, const iovec* pieces, size_t count) {
  if (stream == nullptr || !are_valid(pieces, count)) return HOSTCALL_INVALID_ARGUMENT;
  return guarded(nullptr, [&] { return try_send(*stream, to_wire(pieces, count)); });
}

int hostcall_stream_send(hostcall_stream* stream, hostcall_payload message) {
  if (stream == nullptr || !client::is_valid(message)) return HOSTCALL_INVALID_ARGUMENT;
  return guarded(nullptr, [&] { return send(*stream, client::to_wire(message)); });
}

int hostcall_stream_sendv(hostcall_stream* stream, const iovec* pieces, size_t count) {
  if (stream == nullptr || !are_valid(pieces, count)) return HOSTCALL_INVALID_ARGUMENT;
  return guarded(nullptr, [&] { return send(*stream, to_wire(pieces, count)); });
}

int hostcall_stream_close_send(hostcall_stream* stream) {
  if (stream == nullptr) return HOSTCALL_INVALID_ARGUMENT;
  return guarded(nullptr, [&]() -> int {
    auto* channel = channel_of(*stream);
    if (channel == nullptr) return HOSTCALL_OK;
    channel->close_send(stream->call);
    channel->flush(Clock::now());
    return HOSTCALL_OK;
  });
}

int hostcall_stream_try_recv(hostcall_stream* stream, const void** data, std::size_t* size) {
  if (stream == nullptr || data == nullptr || size == nullptr) return HOSTCALL_INVALID_ARGUMENT;
  return guarded(nullptr, [&] { return try_receive(*stream, data, size); });
}

int hostcall_stream_recv(hostcall_stream* stream, const void** data, std::size_t* size) {
  if (stream == nullptr || data == nullptr || size == nullptr) return HOSTCALL_INVALID_ARGUMENT;
  return guarded(nullptr, [&] { return block(*stream, [&] { return try_receive(*stream, data, size); }); });
}

int hostcall_stream_finish(hostcall_stream* stream, hostcall_result* result) {
  return guarded(result, [&]() -> int {
    if (stream == nullptr) return client::fail(result, HOSTCALL_INVALID_ARGUMENT, "stream is null");
    auto& call = stream->call;
    if (auto* channel = channel_of(*stream)) channel->close_send(call);
    block(*stream, [&] {
      if (auto* channel = channel_of(*stream)) channel->drop_inbox(call);
      return call.ended() ? HOSTCALL_OK : HOSTCALL_WOULD_BLOCK;
    });
    if (result != nullptr) {
      result->clear();
      result->status = call.result.status;
      result->outcome_unknown = call.result.outcome_unknown;
      result->payload.append(call.result.payload.view());
    }
    return static_cast<int>(call.result.status.code);
  });
}

void hostcall_stream_cancel(hostcall_stream* stream) {
  if (stream == nullptr || channel_of(*stream) == nullptr) return;
  guarded(nullptr, [&]() -> int {
    channel_of(*stream)->cancel(stream->call);
    channel_of(*stream)->flush(Clock::now());
    return HOSTCALL_OK;
  });
}

void hostcall_stream_free(hostcall_stream* stream) {
  if (stream == nullptr) return;
  hostcall_stream_cancel(stream);
  delete stream;
}

int hostcall_stream_set_callback(hostcall_stream* stream, hostcall_stream_callback callback, void* user) {
  if (stream == nullptr) return HOSTCALL_INVALID_ARGUMENT;
  return guarded(nullptr, [&]() -> int {
    stream->callback = callback;
    stream->user = user;
    auto& call = stream->call;
    call.observer = stream;
    const bool writable = call.state == client::Call::State::kRunning && !call.send_closed;
    const unsigned events = (call.inbox.empty() ? 0 : client::kReadable) | (writable ? client::kWritable : 0) |
                            (call.ended() ? client::kClosed : 0);
    if (events != 0 && call.channel != nullptr) call.channel->notify(call, events);
    return HOSTCALL_OK;
  });
}
