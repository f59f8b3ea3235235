// ServedMethod: a method and its handler, as the server calls it: parses the request, and makes the handle of its
// shape. Part of server.h; include that instead.
#pragma once

#include <hostcall/server_call.h>
#include <hostcall/server_stream.h>

#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace hostcall {
inline namespace abi0 {
namespace detail {

class ServedMethod {
 public:
  ServedMethod(std::string_view service_name, std::string_view method_name, bool from_client, bool to_client)
      : service(service_name),
        method(method_name),
        full_name(service + "/" + method),
        client_streams(from_client),
        server_streams(to_client) {}
  virtual ~ServedMethod() = default;

  // Serves one call. `payload`: of the Request; the first message of a stream comes in another way.
  virtual void start(PortRef port, std::string_view payload) = 0;

  const std::string service;
  const std::string method;
  const std::string full_name;
  const bool client_streams;
  const bool server_streams;
};

template <class Method, class Function>
class TypedMethod : public ServedMethod {
 public:
  explicit TypedMethod(Function function)
      : ServedMethod(Method::kService, Method::kMethod, Method::kClientStreams, Method::kServerStreams),
        function_(std::move(function)) {}

 protected:
  // False: the call has ended.
  static bool read(ServerPort& port, std::string_view payload, typename Method::Request& request) {
    if (parse(payload, request)) return true;
    port.finish(unparseable(port, request), {});
    return false;
  }
  Function function_;
};

template <class Method, class Function>
class UnaryMethod final : public TypedMethod<Method, Function> {
 public:
  using TypedMethod<Method, Function>::TypedMethod;
  // Reuses the messages, because their memory would cost more than all else here. Large ones free it.
  void start(PortRef port, std::string_view payload) override {
    response_.Clear();
    if (!this->read(*port, payload, request_)) return;
    const Status status = this->function_(static_cast<const ServerCall&>(*port), std::as_const(request_), response_);
    const auto reply = payload_of(response_);
    port->finish(status, reply);
    if (payload.size() > kKeepBytes) request_ = {};
    if (reply.size > kKeepBytes) response_ = {};
  }

 private:
  static constexpr std::size_t kKeepBytes = 16 * 1024;

  typename Method::Request request_;
  typename Method::Response response_;
};

// `Handle`: Responder or ServerStream.
template <class Method, class Handle, class Function>
class HandledMethod final : public TypedMethod<Method, Function> {
 public:
  using TypedMethod<Method, Function>::TypedMethod;
  void start(PortRef port, std::string_view payload) override {
    if constexpr (Method::kClientStreams) {
      this->function_(Handle(std::move(port)));
    } else {
      typename Method::Request request;
      if (this->read(*port, payload, request)) this->function_(Handle(std::move(port)), std::as_const(request));
    }
  }
};

}  // namespace detail
}  // namespace abi0
}  // namespace hostcall
