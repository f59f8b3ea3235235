// The server library: a program of the host serves its own .proto services to VMs. hostcalld forwards the guests' calls
// that policy allows (services.d, member "service"), and says with each which VM makes it. Method types come from
// protoc-gen-hostcall, as for client.h.
//
//   auto server = hostcall::Server::listen("unix:/run/acme.sock");
//   if (!server.ok()) return fail(server.status());
//   server->serve<acme::v1::Inventory::List>(
//       [](const hostcall::ServerCall& call, const acme::v1::ListRequest& request, acme::v1::ListResponse& response) {
//         response.set_owner(call.caller().vm);
//         return hostcall::Status{};
//       });
//   server->run();
//
// Build with what `pkg-config --cflags --libs hostcall-server` prints, as C++20 or later.
//
// The server has no thread: run() or process() does all the work, and handlers run there. They must not wait. Only
// post() and stop() may be called from other threads. A std::exception that leaves a handler or callback ends its call
// with INTERNAL, without its text, and goes to ServerOptions::on_error; any other exception terminates the program.
//
// Both kinds of connection of services.d are served: plain ttrpc, and, after Hello, hostcall's own protocol with
// cancellation and flow control. Unknown methods are answered with UNIMPLEMENTED, calls over a limit with
// RESOURCE_EXHAUSTED, and when a call's deadline passes it ends with DEADLINE_EXCEEDED and its handler sees it
// cancelled.
#pragma once

#if __cplusplus < 202002L
#error "hostcall/server.h needs C++20: compile with -std=c++20 or later"
#endif

#include <hostcall/server_call.h>
#include <hostcall/server_method.h>
#include <hostcall/server_options.h>
#include <hostcall/server_stream.h>

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>

namespace hostcall {
inline namespace abi0 {
namespace detail {

struct ServerImpl;  // the library's

}  // namespace detail

// A server on its sockets. Movable. The destructor ends every call with UNAVAILABLE, runs on_cancel() callbacks, closes
// the sockets, and removes the socket file that listen() has made.
class Server {
 public:
  // Listens on "unix:/path" or "unix:@abstract". Replaces a socket file of this user on which nobody listens. Errors:
  // INVALID_ARGUMENT: not such an address; UNAVAILABLE: the system refuses it, or somebody listens there.
  static Reply<Server> listen(const std::string& address, const ServerOptions& options = {});
  // Serves all sockets that systemd passes (LISTEN_FDS), which must be Unix stream sockets with Accept=no; options of
  // the socket's file have no effect. Takes the sockets out of the environment, so that children do not look for them.
  // Errors: FAILED_PRECONDITION: none were passed to this process; INVALID_ARGUMENT: one of another kind.
  static Reply<Server> from_systemd(const ServerOptions& options = {});

  Server(Server&&) noexcept;
  Server& operator=(Server&&) noexcept;
  ~Server();

  // --- methods; serving one again replaces its handler for later calls ---
  // A unary method that is answered at once: Status f(const ServerCall&, const Request&, Response&).
  template <class Method, class Function>
  requires(!Method::kClientStreams && !Method::kServerStreams) void serve(Function function) {
    static_assert(std::is_invocable_r_v<Status, Function&, const ServerCall&, const typename Method::Request&,
                                        typename Method::Response&>,
                  "serve() takes Status f(const ServerCall&, const Request&, Response&)");
    add(std::make_shared<detail::UnaryMethod<Method, Function>>(std::move(function)));
  }
  // A unary method that is answered later: void f(Responder<Method>, const Request&). The request lives until f
  // returns.
  template <class Method, class Function>
  requires(!Method::kClientStreams && !Method::kServerStreams) void serve_later(Function function) {
    static_assert(std::is_invocable_v<Function&, Responder<Method>, const typename Method::Request&>,
                  "serve_later() takes void f(Responder<Method>, const Request&)");
    add(std::make_shared<detail::HandledMethod<Method, Responder<Method>, Function>>(std::move(function)));
  }
  // A streaming method: void f(ServerStream<Method>) if the client streams, else void f(ServerStream<Method>, const
  // Request&).
  template <class Method, class Function>
  requires(Method::kClientStreams || Method::kServerStreams) void serve_stream(Function function) {
    if constexpr (Method::kClientStreams)
      static_assert(std::is_invocable_v<Function&, ServerStream<Method>>,
                    "serve_stream() takes void f(ServerStream<Method>) for a method whose client streams");
    else
      static_assert(std::is_invocable_v<Function&, ServerStream<Method>, const typename Method::Request&>,
                    "serve_stream() takes void f(ServerStream<Method>, const Request&)");
    add(std::make_shared<detail::HandledMethod<Method, ServerStream<Method>, Function>>(std::move(function)));
  }

  // --- the server's own loop ---
  // Serves until stop().
  void run();
  // No more connections and calls; streamed replies end with UNAVAILABLE, other calls have drain_time to be answered.
  // Then stopped() is true. Callable from any thread and from a signal handler.
  void stop();
  bool stopped() const;

  // --- the application's loop: when fd() is readable or timeout() has passed, call process() ---
  // The same descriptor for the server's life; a level-triggered epoll set.
  [[nodiscard]] int fd() const;
  // Time until process() has something to do without input. Nothing: forever. Ask again after each process().
  std::optional<std::chrono::milliseconds> timeout() const;
  // The same as a point in time. max(): never.
  std::chrono::steady_clock::time_point due() const;
  // Does what is to be done now, and never waits. Not from within a handler.
  void process();

  // Runs the function in the server's thread, in process(). Callable from any thread while the server exists, and not
  // moved meanwhile. Functions that have not run when the server is destroyed are dropped.
  void post(std::function<void()> function);

 private:
  explicit Server(std::unique_ptr<detail::ServerImpl> impl);
  void add(std::shared_ptr<detail::ServedMethod> method);

  std::unique_ptr<detail::ServerImpl> impl_;
};

}  // namespace abi0
}  // namespace hostcall
