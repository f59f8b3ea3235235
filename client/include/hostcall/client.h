// libhostcall's C++ interface: typed calls to the host, header-only on top of the C interface hostcall.h, so that
// programs depend on no C++ symbol of the library. Messages are protobuf's (lite suffices); protoc-gen-hostcall
// generates the method types, for example hostcall::v1::Host::Info in hostcall/v1/host.hostcall.h.
//
//   auto client = hostcall::Client::make();
//   if (!client.ok()) return fail(client.status());
//   auto info = client->call<hostcall::v1::Host::Info>({}, {.timeout = std::chrono::seconds(5)});
//   if (!info.ok()) return fail(info.status());
//
// Build with what `pkg-config --cflags --libs hostcall-cxx` prints, as C++20 or later.
//
// hostcall.h documents threads, fork, deadlines and reconnection. Nothing here throws except std::bad_alloc; callbacks
// must not throw. The inline namespace changes with every incompatible change, so that objects built against different
// versions of these headers link into one program.
#pragma once

#if __cplusplus < 202002L
#error "hostcall/client.h needs C++20: compile with -std=c++20 or later"
#endif

#include <hostcall/kept_callbacks.h>
#include <hostcall/stream.h>
#include <hostcall/types.h>

namespace hostcall {
inline namespace abi0 {

// A client of one host; connects and reconnects as needed. Movable. The destructor ends every call with CANCELLED and
// runs the callbacks of start().
class Client {
 public:
  // Does not connect yet. Errors: INVALID_ARGUMENT for a malformed address or name.
  static Reply<Client> make(const Options& options = {}) {
    const auto c = detail::to_c(options);
    hostcall_client* client = nullptr;
    const detail::Handle<hostcall_result> result(hostcall_result_new());
    if (hostcall_client_new(&c, &client, result.get()) != HOSTCALL_OK) return detail::status_of(result.get());
    return Client(client);
  }

  // Waits until the connection is ready or certainly fails; calls connect on their own.
  Status connect(const CallOptions& options = {}) {
    const auto c = detail::to_c(options);
    Scratch result(*this);
    hostcall_connect(client_.get(), &c, result.get());
    return detail::status_of(result.get());
  }

  // What both sides agreed on; nothing without a ready connection.
  [[nodiscard]] std::optional<Session> session() const {
    hostcall_session c{};
    c.size = sizeof c;
    if (hostcall_get_session(client_.get(), &c) != HOSTCALL_OK) return std::nullopt;
    return Session{.session_id = c.session_id,
                   .features = c.features,
                   .vm_name = c.vm_name,
                   .daemon_epoch = c.daemon_epoch,
                   .daemon_version = c.daemon_version,
                   .max_message_bytes = c.max_message_bytes,
                   .max_streams = c.max_streams,
                   .heartbeat_interval = std::chrono::milliseconds(c.heartbeat_interval_ms)};
  }

  // --- blocking unary calls; errors as hostcall_call(), and INTERNAL for a reply that does not parse ---
  template <class Method>
  requires(!Method::kClientStreams &&
           !Method::kServerStreams) Reply<typename Method::Response> call(const typename Method::Request& request,
                                                                          const CallOptions& options = {}) {
    typename Method::Response response;
    auto status = call<Method>(request, response, options);
    if (!status.ok()) return status;
    return response;
  }
  // The same into the caller's message, whose memory is reused.
  template <class Method>
  requires(!Method::kClientStreams && !Method::kServerStreams) Status
      call(const typename Method::Request& request, typename Method::Response& response,
           const CallOptions& options = {}) {
    Scratch result(*this);
    run(Method::kFullName, detail::payload_of(request), options, result.get());
    return detail::take(result.get(), response);
  }
  // `method`: "package.Service/Method".
  Reply<std::string> call_bytes(const std::string& method, std::string_view request, const CallOptions& options = {}) {
    Scratch result(*this);
    run(method.c_str(), detail::payload_of(request), options, result.get());
    return detail::take_bytes(result.get());
  }

  // --- asynchronous calls; `done` runs once inside process() or a blocking call ---
  // If the returned status is not ok, `done` never runs.
  template <class Method>
  requires(!Method::kClientStreams && !Method::kServerStreams) Status
      start(const typename Method::Request& request, std::function<void(Reply<typename Method::Response>)> done,
            const CallOptions& options = {}, CallId* id = nullptr) {
    return begin(
        Method::kFullName, detail::payload_of(request),
        [done = std::move(done)](const hostcall_result* result) {
          done(detail::take_message<typename Method::Response>(result));
        },
        options, id);
  }
  // The same into the caller's message, whose memory is reused. It is filled right before `done` runs and not touched
  // otherwise, so that calls may share one. It must live until then.
  template <class Method>
  requires(!Method::kClientStreams && !Method::kServerStreams) Status
      start(const typename Method::Request& request, typename Method::Response& response,
            std::function<void(const Status&)> done, const CallOptions& options = {}, CallId* id = nullptr) {
    return begin(
        Method::kFullName, detail::payload_of(request),
        [done = std::move(done), &response](const hostcall_result* result) { done(detail::take(result, response)); },
        options, id);
  }
  Status start_bytes(const std::string& method, std::string_view request, std::function<void(Reply<std::string>)> done,
                     const CallOptions& options = {}, CallId* id = nullptr) {
    return begin(
        method.c_str(), detail::payload_of(request),
        [done = std::move(done)](const hostcall_result* result) { done(detail::take_bytes(result)); }, options, id);
  }
  // `done` runs with CANCELLED, unless the call has ended already.
  void cancel(CallId id) { hostcall_cancel(client_.get(), id); }

  // --- streams; open() does not wait for the host ---
  template <class Method>
  requires Method::kClientStreams Reply<Stream<Method>> open(const CallOptions& options = {}) {
    constexpr auto kShape = Method::kServerStreams ? Shape::kBidiStream : Shape::kClientStream;
    return typed<Method>(open_payload(Method::kFullName, kShape, detail::payload_of(std::string_view()), options));
  }
  template <class Method>
  requires(!Method::kClientStreams &&
           Method::kServerStreams) Reply<Stream<Method>> open(const typename Method::Request& request,
                                                              const CallOptions& options = {}) {
    return typed<Method>(open_payload(Method::kFullName, Shape::kServerStream, detail::payload_of(request), options));
  }
  // `request` is the one message of a server stream.
  Reply<ByteStream> open_bytes(const std::string& method, Shape shape, std::string_view request = {},
                               const CallOptions& options = {}) {
    return open_payload(method.c_str(), shape, detail::payload_of(request), options);
  }

  // --- event loop; see hostcall.h ---
  // -1: no descriptors are left, try again later.
  [[nodiscard]] int fd() { return hostcall_fd(client_.get()); }
  // Alternative to fd(), see hostcall_watch().
  Status watch(int epoll_fd, std::uint64_t data) {
    const auto code = static_cast<Code>(hostcall_watch(client_.get(), epoll_fd, data));
    if (code == Code::kOk) return {};
    return {code, "the client is watched already, or epoll_fd is invalid", {}, false};
  }
  // Nothing: forever.
  std::optional<std::chrono::milliseconds> timeout() const {
    const int ms = hostcall_timeout_ms(client_.get());
    return ms < 0 ? std::nullopt : std::optional(std::chrono::milliseconds(ms));
  }
  // The same as a point in time. In the past, or time_point(): now; max(): never.
  std::chrono::steady_clock::time_point due() const {
    return std::chrono::steady_clock::time_point(std::chrono::nanoseconds(hostcall_due_ns(client_.get())));
  }
  void process() { hostcall_process(client_.get()); }
  // One turn of a loop that watches nothing else. kNoTimeout: waits forever.
  void wait(std::chrono::milliseconds timeout) {
    hostcall_wait(client_.get(), timeout.count() <= 0 ? 0 : detail::to_ms(timeout));
  }

 private:
  explicit Client(hostcall_client* client) : client_(client) {}

  // The result of one call, reused from call to call; a call inside a callback gets its own.
  class Scratch {
   public:
    explicit Scratch(Client& client) : client_(client), result_(std::move(client.scratch_)) {
      if (!result_) result_.reset(hostcall_result_new());
    }
    Scratch(const Scratch&) = delete;
    Scratch& operator=(const Scratch&) = delete;
    ~Scratch() { client_.scratch_ = std::move(result_); }
    hostcall_result* get() const { return result_.get(); }

   private:
    Client& client_;
    detail::Handle<hostcall_result> result_;
  };

  // Frees the client, which runs callbacks, and then the memory of the callbacks.
  class FreeWithCallbacks : public detail::Free {
   public:
    template <class Function>
    auto keep(Function function) {
      if (!callbacks_) callbacks_ = std::make_unique<detail::KeptCallbacks>();
      return callbacks_->keep(std::move(function));
    }

   private:
    std::unique_ptr<detail::KeptCallbacks> callbacks_;
  };

  void run(const char* method, hostcall_payload request, const CallOptions& options, hostcall_result* result) {
    const auto c = detail::to_c(options);
    hostcall_call(client_.get(), method, request, &c, result);
  }

  // `finish` receives the result.
  template <class Finish>
  Status begin(const char* method, hostcall_payload request, Finish finish, const CallOptions& options, CallId* id) {
    auto kept = client_.get_deleter().keep(std::move(finish));
    const auto c = detail::to_c(options);
    const int code =
        hostcall_start(client_.get(), method, request, &c, detail::KeptCallbacks::on_end<Finish>, kept.get(), id);
    if (code != HOSTCALL_OK) return {static_cast<Code>(code), "the call was not begun", {}, false};
    kept.release();  // on_end() owns it now
    return {};
  }

  Reply<ByteStream> open_payload(const char* method, Shape shape, hostcall_payload request,
                                 const CallOptions& options) {
    const auto c = detail::to_c(options);
    hostcall_stream* stream = nullptr;
    Scratch result(*this);
    const int code =
        hostcall_stream_open(client_.get(), method, static_cast<int>(shape), request, &c, &stream, result.get());
    if (code != HOSTCALL_OK) return detail::status_of(result.get());
    return ByteStream(stream);
  }
  template <class Method>
  static Reply<Stream<Method>> typed(Reply<ByteStream> stream) {
    if (!stream.ok()) return stream.status();
    return Stream<Method>(*std::move(stream));
  }

  detail::Handle<hostcall_result> scratch_;
  std::unique_ptr<hostcall_client, FreeWithCallbacks> client_;
};

}  // namespace abi0
}  // namespace hostcall
