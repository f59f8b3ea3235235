// Call: what a service sees of one call, and what it does to answer. Services know these types and their own
// messages; they never see connections.
//
// Three ways to serve a method: a function that fills in the response (unary, at once); an Operation for what takes
// time or streams. Session owns the Operation and destroys it when the call is over for whatever reason: its destructor
// is the clean-up.
#pragma once

#include <google/protobuf/message_lite.h>

#include <memory>
#include <string_view>
#include <utility>

#include "daemon/vms/caller.h"
#include "hostcall/v1/session.pb.h"
#include "proto/base/clock.h"
#include "proto/wire/endpoint.h"
#include "proto/wire/status.h"

namespace hostcall::daemon {

class Method;
using wire::Code;
using wire::Status;

// What Session/* asks of the session that it is called on.
class SessionFacts {
 public:
  virtual Status agree(const v1::HelloRequest& request, v1::HelloResponse& response) = 0;
  virtual std::uint64_t session_id() const = 0;
  virtual void list_allowed(v1::ListServicesResponse& response) const = 0;
  // Asks policy about one more resource of a call, as if it were the method's own: takes it off the rate of the rule
  // that decides, and a denial is audited.
  virtual Status authorize(const Method& method, std::string_view resource) = 0;
  // Whether policy allows it, for what is else left out of an answer.
  virtual bool may(const Method& method, std::string_view resource) const = 0;

 protected:
  ~SessionFacts() = default;
};

// What every handler is told.
struct CallContext {
  const Caller& caller;
  SessionFacts& session;
  TimePoint now;
  TimePoint deadline;
  std::uint32_t max_message_bytes;
};

// Lets a message serialise itself straight into the output.
wire::Payload payload_of(const google::protobuf::MessageLite& message);

// The daemon's end of an open call, for its Operation. All methods may be called until finish() or
// reply(), or until the Operation is destroyed.
class ServerCall {
 public:
  // Sends a message of a streamed reply. kBlocked: on_writable() will tell; the message was not taken.
  virtual wire::SendOutcome send(const google::protobuf::MessageLite& message) = 0;
  // Ends the call with OK and its single reply. Destroys the Operation at the end of the turn.
  virtual void reply(const google::protobuf::MessageLite& message) = 0;
  // Ends the call; OK ends a streamed reply. Destroys the Operation at the end of the turn.
  virtual void finish(const Status& status) = 0;
  // The caller may send as much again.
  virtual void consumed(std::size_t message_bytes) = 0;

 protected:
  ~ServerCall() = default;
};

// One call that is not answered at once.
class Operation {
 public:
  explicit Operation(ServerCall& call) : call_(call) {}
  virtual ~Operation() = default;
  Operation(const Operation&) = delete;
  Operation& operator=(const Operation&) = delete;

  // The call is set up: send() and finish() may be used.
  virtual void start() {}
  // A message of a streamed request; the view is good during the call. Say consumed() when it is used up.
  virtual void on_message(std::string_view message) { call_.consumed(message.size()); }
  // The caller has sent its last message.
  virtual void on_remote_closed() {}
  // send() may be tried again.
  virtual void on_writable() {}
  // The daemon stops: a call that would last ends here; others have some time to finish.
  virtual void on_drain() {}

 protected:
  ServerCall& call() { return call_; }

 private:
  ServerCall& call_;
};

// For a handler that can't answer at once: opens the call, and puts an Operation on it. A call that is answered at
// once never gets one, which saves most of its cost.
class Later {
 public:
  // `arguments` follow the ServerCall in Op's constructor. The handler's own status and reply no longer matter.
  template <class Op, class... Arguments>
  void begin(Arguments&&... arguments) {
    operation_ = std::make_unique<Op>(open(), std::forward<Arguments>(arguments)...);
  }
  // Null: the handler has answered.
  std::unique_ptr<Operation> take() { return std::move(operation_); }

 protected:
  ~Later() = default;

 private:
  virtual ServerCall& open() = 0;
  std::unique_ptr<Operation> operation_;
};

}  // namespace hostcall::daemon
