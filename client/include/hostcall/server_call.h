// One call as its handler sees it: who makes it, until when, and how it is answered. Include server.h instead.
#pragma once

#include <hostcall/types.h>
#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace hostcall {
inline namespace abi0 {

// Which VM makes a call, as hostcalld says. All empty: the call did not come through hostcalld.
struct Caller {
  std::string vm{};           // name of its record
  std::string uuid{};         // in lower case; empty: the record has none
  std::string incarnation{};  // opaque; another value: the VM was registered anew, or has booted since
  std::string evidence{};     // how it was recognised: "cid" or "unix"; "cid,privileged-port" shows root in the guest

  bool through_hostcall() const { return !vm.empty(); }
  bool has_privileged_port() const { return evidence == "cid,privileged-port"; }
};

// What is known about a call. Lives as long as a Responder or ServerStream of it, or else until its handler returns.
class ServerCall {
 public:
  ServerCall() = default;
  ServerCall(const ServerCall&) = delete;
  ServerCall& operator=(const ServerCall&) = delete;

  virtual const Caller& caller() const = 0;
  // hostcalld's number of the call, unique while it runs; 0: the call did not come through hostcalld.
  virtual std::uint64_t call_id() const = 0;
  // The first value of this key. Keys that begin with "hostcall-" are hostcalld's; from anybody else there are none.
  virtual std::optional<std::string_view> metadata(std::string_view key) const = 0;
  // When the caller stops waiting; max(): it named no time.
  virtual std::chrono::steady_clock::time_point deadline() const = 0;
  // Whether nobody waits for the answer any more: the caller has cancelled, its deadline has passed, or its connection
  // is lost.
  virtual bool cancelled() const = 0;
  // Who is at the other end of the socket: hostcalld, or a local user (SO_PEERCRED).
  virtual uid_t peer_uid() const = 0;
  // "acme.v1.Inventory/List".
  virtual const std::string& method() const = 0;

 protected:
  ~ServerCall() = default;
};

namespace detail {

// A call of any shape, with messages as bytes: what the library gives to the typed classes.
class ServerPort : public ServerCall {
 public:
  // Answers and ends the call; does nothing once it has ended.
  virtual void finish(const Status& status, hostcall_payload reply) = 0;
  virtual Progress try_send(hostcall_payload message) = 0;
  virtual bool ended() const = 0;
  virtual void set_paused(bool paused) = 0;
  // The library lets go of the functions when the call has ended.
  virtual void on_message(std::function<void(std::string_view)> function) = 0;
  virtual void on_remote_closed(std::function<void()> function) = 0;
  virtual void on_writable(std::function<void()> function) = 0;
  virtual void on_cancel(std::function<void()> function) = 0;

 protected:
  ~ServerPort() = default;
};
using PortRef = std::shared_ptr<ServerPort>;

inline Status unparseable(const ServerCall& call, const google::protobuf::MessageLite& message) {
  return {Code::kInvalidArgument, "a message of " + call.method() + " is not a " + message.GetTypeName(), {}, false};
}

// What Responder and ServerStream have in common.
template <class Method>
class ServerHandle {
 public:
  using Request = typename Method::Request;
  using Response = typename Method::Response;

  explicit ServerHandle(PortRef port) : port_(std::move(port)) {}

  const ServerCall& call() const { return *port_; }
  bool cancelled() const { return port_->cancelled(); }
  // Whether it was finished or cancelled.
  bool ended() const { return port_->ended(); }
  // Runs once, in the server's thread, if the call is cancelled (see ServerCall::cancelled()). The call keeps its place
  // among max_calls until the last copy of this object is gone.
  void on_cancel(std::function<void()> function) const { port_->on_cancel(std::move(function)); }
  // Ends the call with an error; or, if `status` is ok, a streamed reply with its end, and any other with an empty
  // reply. Does nothing once the call has ended.
  void finish(const Status& status) const { port_->finish(status, payload_of(std::string_view())); }
  // Ends the call with its one reply.
  void finish(const Response& reply) const requires(!Method::kServerStreams) { port_->finish({}, payload_of(reply)); }

 protected:
  ServerPort& port() const { return *port_; }

 private:
  PortRef port_;
};

}  // namespace detail

// Answers a unary call later. Copies answer the same call, and the first answer counts. When the last copy is gone and
// none has answered, the call ends with INTERNAL. Use and destroy it in the server's thread only; other threads
// post() a function that does. It may outlive the server.
template <class Method>
class Responder : public detail::ServerHandle<Method> {
 public:
  using detail::ServerHandle<Method>::ServerHandle;
};

}  // namespace abi0
}  // namespace hostcall
