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
#include "daemon/calls/method_counts.h"
#include "daemon/config/policy_warnings.h"
#include "daemon/handover/forward.h"
#include "daemon/vms/policy_state.h"
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
  // Makes the handler of a call that another daemon has handed over. Otherwise tells why that is not possible.
  virtual Status resume(const CallContext& context, const handover::Call& call, Incoming& incoming,
                        Handler& handler) const;
  bool is(std::string_view of_service, std::string_view method) const {
    return name.size() == of_service.size() + 1 + method.size() && name.ends_with(method) && of_service == service;
  }

  // Whether policy decides by what is in the request. Then start() authorises the call once the request is parsed.
  virtual bool decided_by_request() const { return false; }
  // Whether a request names a resource for policy.
  virtual bool has_resource() const { return false; }
  // Whether its calls are meant to last: no deadline that they name is too long.
  virtual bool lasts() const { return false; }
  // Whether its name is an administrator's word, though the daemon does not serve it: see MethodTally::of_routed().
  virtual bool is_described() const { return false; }
  // Refuses what no request of the caller can name as its resource. INVALID_ARGUMENT: what is wrong with it.
  virtual Status check_resource(const Caller&, std::string_view) const { return {}; }

  // Of methods whose calls other daemons can go on with: fills in the handler, or refuses.
  using Resume = std::function<Status(const CallContext&, const handover::Call&, Incoming&, Handler&)>;
  Resume resumes;

  const std::string name;          // "hostcall.v1.Host/Info"
  const std::string_view service;  // "hostcall.v1.Host"
  const wire::Shape shape;
  const Audience audience;
  const bool is_protocol;
  std::uint32_t index = MethodName::kNoIndex;  // position in Router::methods()
  MethodCounts* counts = nullptr;              // set by the router; lives as long as that
};

// The services that other servers of the host serve, with methods that may not be known.
class Routes {
 public:
  // A method of a routed service. `asked`: its shape as far as the Request tells. Null: no such service, or its methods
  // are known and this is none of them.
  virtual std::shared_ptr<Method> find(std::string_view service, std::string_view method, wire::Shape asked) const = 0;
  // The methods by name, sorted, or "SERVICE/*" where they are not known.
  virtual std::vector<std::string> names() const = 0;

 protected:
  ~Routes() = default;
};

class Router {
 public:
  // Registers a unary method: Status f(const CallContext&, const Request&, Response&), plus an argument Handler& if
  // some of its calls take time. The function may take Request&, to move from it.
  template <class M, class Function>
  void unary(Audience audience, Function function);
  // The same for a method about whose requests policy decides. `subject`: see Subject.
  template <class M, class Subject, class Function>
  void unary_of(Audience audience, Subject subject, Function function);
  // Registers a method of any shape that a handler serves: Status f(const CallContext&, const Request&, Handler&). If f
  // sets no handler, the status is the answer. If the client streams, f gets an empty Request and its handler gets the
  // messages; one that came with the Request is the first.
  template <class M, class Function>
  void handled(Audience audience, Function function);
  template <class M, class Subject, class Function>
  void handled_of(Audience audience, Subject subject, Function function);
  // Registers a method whose client streams, and whose first message names its resource. The handler has policy decide
  // then, by SessionFacts::authorize_message(): Status f(const Method&, const CallContext&, Handler&), which sets the
  // handler or refuses. `check`: Status(std::string_view resource), see Method::check_resource().
  template <class M, class Check, class Function>
  void opened(Audience audience, Check check, Function function);
  // Registers a method that belongs to the protocol: the session answers it itself and never starts it.
  template <class M>
  void protocol(Audience audience);

  // Lets calls of a method that is registered go on in the next daemon. See Method::Resume.
  template <class M>
  void resumes(Method::Resume function) {
    find(M::kService, M::kMethod)->resumes = std::move(function);
  }

  // Checks that each method of a service (its generated kAllMethods) is registered. Throws std::logic_error that names
  // a missing one.
  template <std::size_t Size>
  void check_complete(const char* const (&all)[Size]) const {
    for (const auto* name : all) require(name);
  }

  // What is not registered here is looked for there. Must outlive this.
  void add_routes(const Routes& routes) { routes_ = &routes; }

  // Null if there is no such method.
  Method* find(std::string_view service, std::string_view method) const;
  Method* find(std::string_view full_name) const;
  // A method of a routed service. Null if there is no such method.
  std::shared_ptr<Method> route(std::string_view service, std::string_view method, wire::Shape asked) const;
  std::vector<std::string> routed_names() const {
    return routes_ == nullptr ? std::vector<std::string>() : routes_->names();
  }
  // The methods, for warnings about rules.
  std::vector<KnownNames::Method> known_methods() const;
  const std::vector<std::unique_ptr<Method>>& methods() const { return methods_; }
  // How their calls have ended.
  MethodTally& tally() const { return tally_; }

 private:
  void add(std::unique_ptr<Method> method);
  void require(std::string_view name) const;
  std::vector<std::unique_ptr<Method>> methods_;
  std::map<std::string_view, std::map<std::string_view, Method*>> by_service_;
  const Routes* routes_ = nullptr;
  mutable MethodTally tally_;
  mutable Method* last_found_ = nullptr;  // callers tend to repeat one method
};

// ---------------------------------------------------------------- typed methods

// The most fields of a message from a caller, each repetition counted. Bounds what a message can make the parser
// allocate: two bytes suffice for an empty field of a hundred.
inline constexpr std::size_t kMaxFields = 1024;
// Parses a message from a caller, with bounds on size, fields and nesting.
bool parse_message(std::string_view bytes, google::protobuf::MessageLite& message);
Status unparseable(std::string_view method);

template <class M>
constexpr wire::Shape shape_of() {
  if constexpr (M::kClientStreams) return M::kServerStreams ? wire::Shape::kBidiStream : wire::Shape::kClientStream;
  return M::kServerStreams ? wire::Shape::kServerStream : wire::Shape::kUnary;
}

// What policy decides by. One of:
// - NoSubject: by the method alone.
// - A function std::string_view resource(const Request&): by the method and its resource.
// - An object with
//     static constexpr bool kHasResource;
//     Status check(const Caller&, std::string_view resource) const;       // see Method::check_resource()
//     Status ask(const Method&, const CallContext&, const Request&, Asks&) const;  // fills in what the request asks,
//     or
//                                                                         // refuses a request that asks nothing
//                                                                         possible
struct NoSubject {};

template <class Subject>
concept AskingSubject = requires {
  Subject::kHasResource;
};

template <class M, class Subject>
class TypedMethod : public Method {
 public:
  TypedMethod(Audience method_audience, Subject subject)
      : Method(M::kService, M::kMethod, shape_of<M>(), method_audience), subject_(std::move(subject)) {}
  bool decided_by_request() const override { return kDecidedByRequest; }
  bool has_resource() const override {
    if constexpr (AskingSubject<Subject>) return Subject::kHasResource;
    return kDecidedByRequest;
  }
  Status check_resource(const Caller& caller, std::string_view resource) const override {
    if constexpr (AskingSubject<Subject>) return subject_.check(caller, resource);
    return {};
  }

 protected:
  static constexpr bool kDecidedByRequest = !std::is_same_v<Subject, NoSubject>;
  // Leaves in `asks` what was asked: views into the request.
  Status authorize(const CallContext& context, const typename M::Request& request, Asks& asks) const {
    asks.calls.clear();
    asks.writes = 0;
    if constexpr (AskingSubject<Subject>) {
      if (auto status = subject_.ask(*this, context, request, asks); !status.ok()) return status;
    } else {
      asks.calls.push_back({.method = this, .resource = subject_(request)});
    }
    return context.session.authorize(asks.calls, asks.writes);
  }

 private:
  Subject subject_;
};

template <class M, class Subject, class Function>
class UnaryMethod final : public TypedMethod<M, Subject> {
 public:
  UnaryMethod(Audience method_audience, Subject subject, Function function)
      : TypedMethod<M, Subject>(method_audience, std::move(subject)), function_(std::move(function)) {}

  Answer start(const CallContext& context, std::string_view payload, Handler& handler) override {
    // Reuses the messages, which is twice as fast as an arena. A large one frees its memory first.
    if (payload.size() > kKeepBytes || response_bytes_ > kKeepBytes) {
      request_ = {};
      response_ = {};
    }
    response_.Clear();
    if (!parse_message(payload, request_)) return {unparseable(M::kFullName), {}};
    if constexpr (UnaryMethod::kDecidedByRequest)
      if (auto status = this->authorize(context, request_, asks_); !status.ok()) return {std::move(status), {}};
    Answer answer{run(context, handler), {}};
    if constexpr (UnaryMethod::kDecidedByRequest)
      if (handler && handler->may_be_ended()) handler->resource = asks_.calls.front().resource;
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
  Asks asks_;  // for reuse
  std::size_t response_bytes_ = 0;
};

template <class M, class Subject, class Function>
class HandledMethod final : public TypedMethod<M, Subject> {
 public:
  HandledMethod(Audience method_audience, Subject subject, Function function)
      : TypedMethod<M, Subject>(method_audience, std::move(subject)), function_(std::move(function)) {}

  Answer start(const CallContext& context, std::string_view payload, Handler& handler) override {
    typename M::Request request;
    if (!M::kClientStreams && !parse_message(payload, request)) return {unparseable(M::kFullName), {}};
    Asks asks;
    if constexpr (HandledMethod::kDecidedByRequest)
      if (auto status = this->authorize(context, request, asks); !status.ok()) return {std::move(status), {}};
    Answer answer{function_(context, static_cast<const typename M::Request&>(request), handler), {}};
    if (handler && !asks.calls.empty()) handler->resource = asks.calls.front().resource;
    return answer;
  }

 private:
  Function function_;
};

template <class M, class Check, class Function>
class OpenedMethod final : public Method {
 public:
  OpenedMethod(Audience method_audience, Check check, Function function)
      : Method(M::kService, M::kMethod, shape_of<M>(), method_audience),
        check_(std::move(check)),
        function_(std::move(function)) {
    static_assert(M::kClientStreams);
  }
  bool decided_by_request() const override { return true; }
  bool has_resource() const override { return true; }
  bool lasts() const override { return true; }
  Status check_resource(const Caller&, std::string_view resource) const override { return check_(resource); }
  Answer start(const CallContext& context, std::string_view, Handler& handler) override {
    return {function_(static_cast<const Method&>(*this), context, handler), {}};
  }

 private:
  Check check_;
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

template <class M, class Check, class Function>
void Router::opened(Audience audience, Check check, Function function) {
  add(std::make_unique<OpenedMethod<M, Check, Function>>(audience, std::move(check), std::move(function)));
}

template <class M>
void Router::protocol(Audience audience) {
  add(std::make_unique<ProtocolMethod<M>>(audience));
}

template <class M, class Function>
void Router::unary(Audience audience, Function function) {
  unary_of<M>(audience, NoSubject{}, std::move(function));
}

template <class M, class Subject, class Function>
void Router::unary_of(Audience audience, Subject subject, Function function) {
  static_assert(shape_of<M>() == wire::Shape::kUnary);
  add(std::make_unique<UnaryMethod<M, Subject, Function>>(audience, std::move(subject), std::move(function)));
}

template <class M, class Function>
void Router::handled(Audience audience, Function function) {
  handled_of<M>(audience, NoSubject{}, std::move(function));
}

template <class M, class Subject, class Function>
void Router::handled_of(Audience audience, Subject subject, Function function) {
  add(std::make_unique<HandledMethod<M, Subject, Function>>(audience, std::move(subject), std::move(function)));
}

}  // namespace hostcall::daemon
