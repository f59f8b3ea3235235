// Router: finds the daemon's methods by name. Services register theirs with the types that protoc-gen-hostcall
// generates, so a wrong message or shape does not compile. check_complete() finds methods that nobody registered.
#pragma once

#include <cstdlib>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "daemon/calls/call.h"
#include "proto/wire/stream.h"

namespace hostcall::daemon {

// A method sets it if it does not answer at once.
using Handler = std::unique_ptr<CallHandler>;

// The answer of a method that set no handler.
struct Answer {
  Status status;
  wire::Payload reply;  // if the status is OK; valid until the next call
};

class Method {
 public:
  enum class Kind : bool { kServed, kProtocol };  // kProtocol: see Router::protocol()
  Method(std::string_view service, std::string_view method, wire::Shape method_shape, Audience method_audience,
         Kind kind = Kind::kServed);
  virtual ~Method() = default;

  // Parses the payload and serves the call. Returns the answer, unless it sets `handler`: then the call is open.
  virtual Answer start(const CallContext& context, std::string_view payload, Handler& handler) = 0;
  bool is(std::string_view of_service, std::string_view method) const {
    return name.size() == of_service.size() + 1 + method.size() && name.ends_with(method) && of_service == service;
  }

  // Whether policy decides by a resource in the request. Then start() authorises the call once the request is parsed.
  virtual bool has_resource() const { return false; }

  const std::string name;          // "hostcall.v1.Host/Info"
  const std::string_view service;  // "hostcall.v1.Host"
  const wire::Shape shape;
  const Audience audience;
  const bool is_protocol;
  std::uint32_t index = 0;  // position in Router::methods()
};

class Router {
 public:
  // Registers a unary method: Status f(const CallContext&, const Request&, Response&), plus an argument Handler& if
  // some of its calls take time. The function may take Request&, to move from it.
  template <class M, class Function>
  void unary(Audience audience, Function function);
  // The same for a method whose requests name a resource for policy: std::string_view resource(const Request&).
  template <class M, class Resource, class Function>
  void unary_of(Audience audience, Resource resource, Function function);
  // Registers a method of any shape that a handler serves: Status f(const CallContext&, const Request&, Handler&). If f
  // sets no handler, the status is the answer. If the client streams, f gets an empty Request and its handler gets the
  // messages.
  template <class M, class Function>
  void handled(Audience audience, Function function);
  template <class M, class Resource, class Function>
  void handled_of(Audience audience, Resource resource, Function function);
  // Registers a method that belongs to the protocol: the session answers it itself and never starts it.
  template <class M>
  void protocol(Audience audience);

  // Checks that each method of a service (its generated kAllMethods) is registered. Throws std::logic_error that names
  // a missing one.
  template <std::size_t Size>
  void check_complete(const char* const (&all)[Size]) const {
    for (const auto* name : all) require(name);
  }

  // Null if there is no such method.
  Method* find(std::string_view service, std::string_view method) const;
  Method* find(std::string_view full_name) const;
  // Whether a rule's call ("*", "pkg.Service/*" or a method's name) names at least one method.
  bool serves(std::string_view call) const;
  const std::vector<std::unique_ptr<Method>>& methods() const { return methods_; }

 private:
  void add(std::unique_ptr<Method> method);
  void require(std::string_view name) const;
  std::vector<std::unique_ptr<Method>> methods_;
  std::map<std::string_view, std::map<std::string_view, Method*>> by_service_;
  mutable Method* last_found_ = nullptr;  // callers tend to repeat one method
};

// ---------------------------------------------------------------- typed methods

// Parses a message from a guest, with bounds on size and nesting.
bool parse_message(std::string_view bytes, google::protobuf::MessageLite& message);
Status unparseable(std::string_view method);

template <class M>
constexpr wire::Shape shape_of() {
  if constexpr (M::kClientStreams) return M::kServerStreams ? wire::Shape::kBidiStream : wire::Shape::kClientStream;
  return M::kServerStreams ? wire::Shape::kServerStream : wire::Shape::kUnary;
}

// For methods whose requests name no resource.
struct NoResource {};

template <class M, class Resource>
class TypedMethod : public Method {
 public:
  TypedMethod(Audience method_audience, Resource resource)
      : Method(M::kService, M::kMethod, shape_of<M>(), method_audience), resource_(std::move(resource)) {}
  bool has_resource() const override { return kHasResource; }

 protected:
  static constexpr bool kHasResource = !std::is_same_v<Resource, NoResource>;
  Status authorize(const CallContext& context, const typename M::Request& request) const {
    return context.session.authorize(*this, resource_(request));
  }

 private:
  Resource resource_;
};

template <class M, class Resource, class Function>
class UnaryMethod final : public TypedMethod<M, Resource> {
 public:
  UnaryMethod(Audience method_audience, Resource resource, Function function)
      : TypedMethod<M, Resource>(method_audience, std::move(resource)), function_(std::move(function)) {}

  Answer start(const CallContext& context, std::string_view payload, Handler& handler) override {
    // Reuses the messages, which is twice as fast as an arena. A large one frees its memory first.
    if (payload.size() > kKeepBytes || response_bytes_ > kKeepBytes) {
      request_ = {};
      response_ = {};
    }
    response_.Clear();
    if (!parse_message(payload, request_)) return {unparseable(M::kFullName), {}};
    if constexpr (UnaryMethod::kHasResource)
      if (auto status = this->authorize(context, request_); !status.ok()) return {std::move(status), {}};
    Answer answer{run(context, handler), {}};
    if (answer.status.ok()) answer.reply = payload_of(response_);
    response_bytes_ = answer.reply.size();
    return answer;
  }

 private:
  static constexpr std::size_t kKeepBytes = 16 * 1024;

  Status run(const CallContext& context, Handler& handler) {
    if constexpr (std::is_invocable_v<Function, const CallContext&, typename M::Request&, typename M::Response&,
                                      Handler&>)
      return function_(context, request_, response_, handler);
    else
      return function_(context, request_, response_);
  }

  Function function_;
  typename M::Request request_;
  typename M::Response response_;
  std::size_t response_bytes_ = 0;
};

template <class M, class Resource, class Function>
class HandledMethod final : public TypedMethod<M, Resource> {
 public:
  HandledMethod(Audience method_audience, Resource resource, Function function)
      : TypedMethod<M, Resource>(method_audience, std::move(resource)), function_(std::move(function)) {}

  Answer start(const CallContext& context, std::string_view payload, Handler& handler) override {
    typename M::Request request;
    if (!parse_message(payload, request)) return {unparseable(M::kFullName), {}};
    if constexpr (HandledMethod::kHasResource)
      if (auto status = this->authorize(context, request); !status.ok()) return {std::move(status), {}};
    return {function_(context, static_cast<const typename M::Request&>(request), handler), {}};
  }

 private:
  Function function_;
};

// Gives policy and lists of methods a name. Never started.
template <class M>
class ProtocolMethod final : public Method {
 public:
  explicit ProtocolMethod(Audience method_audience)
      : Method(M::kService, M::kMethod, shape_of<M>(), method_audience, Kind::kProtocol) {}
  Answer start(const CallContext&, std::string_view, Handler&) override { std::abort(); }
};

template <class M>
void Router::protocol(Audience audience) {
  add(std::make_unique<ProtocolMethod<M>>(audience));
}

template <class M, class Function>
void Router::unary(Audience audience, Function function) {
  unary_of<M>(audience, NoResource{}, std::move(function));
}

template <class M, class Resource, class Function>
void Router::unary_of(Audience audience, Resource resource, Function function) {
  static_assert(shape_of<M>() == wire::Shape::kUnary);
  add(std::make_unique<UnaryMethod<M, Resource, Function>>(audience, std::move(resource), std::move(function)));
}

template <class M, class Function>
void Router::handled(Audience audience, Function function) {
  handled_of<M>(audience, NoResource{}, std::move(function));
}

template <class M, class Resource, class Function>
void Router::handled_of(Audience audience, Resource resource, Function function) {
  add(std::make_unique<HandledMethod<M, Resource, Function>>(audience, std::move(resource), std::move(function)));
}

}  // namespace hostcall::daemon
