// Streaming calls of the C++ interface: ByteStream for any method, Stream<Method> for typed ones. Client opens them;
// include client.h instead.
#pragma once

#include <hostcall/message_pieces.h>
#include <hostcall/types.h>

#include <functional>
#include <iterator>
#include <span>

namespace hostcall {
inline namespace abi0 {

// A streaming call whose messages are bytes. Movable. The destructor cancels a call that still runs. A stream that
// outlives its Client has ended with CANCELLED.
class ByteStream {
 public:
  using Callback = std::function<void(unsigned events)>;

  // Adopts the handle.
  explicit ByteStream(hostcall_stream* stream) : stream_(stream) {}

  // Sends one message; waits for credit. False: the stream has ended (see finish()), or this side is closed.
  [[nodiscard]] bool send(std::string_view message) { return send_payload(detail::payload_of(message)); }
  [[nodiscard]] Progress try_send(std::string_view message) { return try_send_payload(detail::payload_of(message)); }
  [[nodiscard]] bool send_payload(hostcall_payload payload) {
    return hostcall_stream_send(stream_.get(), payload) == HOSTCALL_OK;
  }
  [[nodiscard]] Progress try_send_payload(hostcall_payload payload) {
    return progress(hostcall_stream_try_send(stream_.get(), payload));
  }
  // The same for a message in at most HOSTCALL_MAX_PIECES pieces of memory.
  [[nodiscard]] bool send_pieces(std::span<const iovec> pieces) {
    return hostcall_stream_sendv(stream_.get(), pieces.data(), pieces.size()) == HOSTCALL_OK;
  }
  [[nodiscard]] Progress try_send_pieces(std::span<const iovec> pieces) {
    return progress(hostcall_stream_try_sendv(stream_.get(), pieces.data(), pieces.size()));
  }
  // Closes this side: it sends no more.
  void close_send() { hostcall_stream_close_send(stream_.get()); }

  // Waits for the next message, a view that is valid until the next receive, whatever that returns. False: there are no
  // more messages, see finish().
  [[nodiscard]] bool recv(std::string_view& message) {
    return receive_with(hostcall_stream_recv, message) == Progress::kDone;
  }
  [[nodiscard]] Progress try_recv(std::string_view& message) { return receive_with(hostcall_stream_try_recv, message); }

  // Closes this side, drops messages that were not received, and waits for the end. The value is the one reply of a
  // client stream, else empty. May be repeated.
  Reply<std::string> finish() {
    const detail::Handle<hostcall_result> result(hostcall_result_new());
    hostcall_stream_finish(stream_.get(), result.get());
    return detail::take_bytes(result.get());
  }
  // Ends the stream with CANCELLED.
  void cancel() { hostcall_stream_cancel(stream_.get()); }

  // For event loops: Client::process() or a blocking call runs `callback` with a mask of HOSTCALL_READABLE, _WRITABLE
  // and _CLOSED. It may destroy this stream.
  void on_event(Callback callback) {
    callback_ = std::make_shared<Listener>();
    callback_->run = std::move(callback);
    hostcall_stream_set_callback(stream_.get(), &Listener::on_event, callback_.get());
  }

 private:
  struct Listener : std::enable_shared_from_this<Listener> {
    Callback run;
    static void on_event(void* user, hostcall_stream*, unsigned events) noexcept {
      const auto keep = static_cast<Listener*>(user)->shared_from_this();  // the stream may be destroyed meanwhile
      keep->run(events);
    }
  };

  static Progress progress(int code) {
    if (code == HOSTCALL_OK) return Progress::kDone;
    return code == HOSTCALL_WOULD_BLOCK ? Progress::kWouldBlock : Progress::kEnded;
  }
  Progress receive_with(int (*receive)(hostcall_stream*, const void**, std::size_t*), std::string_view& message) {
    const void* data = nullptr;
    std::size_t size = 0;
    const int code = receive(stream_.get(), &data, &size);
    if (code == HOSTCALL_OK) message = {static_cast<const char*>(data), size};
    return progress(code);
  }

  std::shared_ptr<Listener> callback_;
  detail::Handle<hostcall_stream> stream_;  // destroyed first, so that no event comes later
};

// A streaming call of a generated method type. A message that does not parse ends it with INTERNAL.
template <class Method>
class Stream {
 public:
  using Request = typename Method::Request;
  using Response = typename Method::Response;

  explicit Stream(ByteStream stream) : stream_(std::move(stream)) {}

  // As ByteStream's.
  [[nodiscard]] bool send(const Request& message) requires Method::kClientStreams {
    const auto payload = detail::payload_of(message);
    if (!detail::MessagePieces::suit(payload.size)) return stream_.send_payload(payload);
    return stream_.send_pieces(detail::MessagePieces(message, payload.size).view());
  }
  [[nodiscard]] Progress try_send(const Request& message) requires Method::kClientStreams {
    const auto payload = detail::payload_of(message);
    if (!detail::MessagePieces::suit(payload.size)) return stream_.try_send_payload(payload);
    return stream_.try_send_pieces(detail::MessagePieces(message, payload.size).view());
  }
  void close_send() requires Method::kClientStreams { stream_.close_send(); }

  // Waits for the next message. False: there are no more messages, see finish().
  [[nodiscard]] bool recv(Response& message) requires Method::kServerStreams {
    std::string_view bytes;
    return stream_.recv(bytes) && accept(bytes, message);
  }
  [[nodiscard]] Progress try_recv(Response& message) requires Method::kServerStreams {
    std::string_view bytes;
    const auto progress = stream_.try_recv(bytes);
    if (progress != Progress::kDone) return progress;
    return accept(bytes, message) ? Progress::kDone : Progress::kEnded;
  }

  // Closes this side, drops messages that were not received, and waits for the end.
  Status finish() requires Method::kServerStreams {
    auto reply = stream_.finish();
    return malformed_ ? detail::malformed(Response().GetTypeName()) : reply.status();
  }
  // The same for a client stream: its one reply.
  Reply<Response> finish() requires(!Method::kServerStreams) {
    const auto reply = stream_.finish();
    if (!reply.ok()) return reply.status();
    Response response;
    if (!detail::parse(*reply, response)) return detail::malformed(response.GetTypeName());
    return response;
  }
  void cancel() { stream_.cancel(); }
  void on_event(ByteStream::Callback callback) { stream_.on_event(std::move(callback)); }

  // for (const auto& message : stream): receives all messages; then call finish().
  class Iterator {
   public:
    using value_type = Response;
    using difference_type = std::ptrdiff_t;
    explicit Iterator(Stream* stream) : stream_(stream) { ++*this; }
    const Response& operator*() const { return message_; }
    Iterator& operator++() {
      if (!stream_->recv(message_)) stream_ = nullptr;
      return *this;
    }
    void operator++(int) { ++*this; }
    bool operator==(std::default_sentinel_t) const { return stream_ == nullptr; }

   private:
    Stream* stream_;
    Response message_;
  };
  Iterator begin() requires Method::kServerStreams { return Iterator(this); }
  std::default_sentinel_t end() const { return {}; }

 private:
  bool accept(std::string_view bytes, Response& message) {
    if (detail::parse(bytes, message)) return true;
    malformed_ = true;
    stream_.cancel();
    return false;
  }

  ByteStream stream_;
  bool malformed_ = false;
};

}  // namespace abi0
}  // namespace hostcall
