// What a service sees of a call, and how it answers one. Services know these types and their own messages; they never
// see connections.
//
// A method is served in one of two ways. A function fills in the response, at once. For what takes time or streams, the
// function makes a CallHandler; the session then opens the call and destroys the handler when the call is over, for
// whatever reason: its destructor is the clean-up.
#pragma once

#include <google/protobuf/message_lite.h>

#include <memory>
#include <string_view>

#include "daemon/vms/caller.h"
#include "hostcall/v1/session.pb.h"
#include "proto/base/clock.h"
#include "proto/wire/endpoint.h"
#include "proto/wire/status.h"

namespace hostcall::daemon {

class Method;
using wire::Code;
using wire::Status;

// What a handler may ask of the session that its call came on.
class SessionFacts {
 public:
  virtual std::uint64_t session_id() const = 0;
  virtual void list_allowed(v1::ListServicesResponse& response) const = 0;
  // Asks policy about one more resource of a call, as if it were the method's own: takes it off the rate of the rule
  // that decides, and audits a denial.
  virtual Status authorize(const Method& method, std::string_view resource) = 0;
  // Whether policy allows it, for what is otherwise left out of an answer.
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

// The daemon's end of an open call, for its handler. All methods may be called until the handler is destroyed; after
// finish() or reply() they do nothing.
class Call {
 public:
  // Sends a message of a streamed reply. kBlocked: the message was not taken, and on_writable() follows.
  virtual wire::SendOutcome send(const google::protobuf::MessageLite& message) = 0;
  // Ends the call with OK and its single reply. The handler is destroyed at the end of the turn.
  virtual void reply(const google::protobuf::MessageLite& message) = 0;
  // Ends the call; OK ends a streamed reply. The handler is destroyed at the end of the turn.
  virtual void finish(const Status& status) = 0;
  // Lets the caller send as many bytes again.
  virtual void consumed(std::size_t message_bytes) = 0;

 protected:
  ~Call() = default;
};

// Serves one call that is not answered at once.
class CallHandler {
 public:
  CallHandler() = default;
  virtual ~CallHandler() = default;
  CallHandler(const CallHandler&) = delete;
  CallHandler& operator=(const CallHandler&) = delete;

  // Whoever opens the call says so, once; start() follows.
  void begin(Call& call) {
    call_ = &call;
    start();
  }

  // A message of a streamed request; the view is valid during the call. Say consumed() when it is used up.
  virtual void on_message(std::string_view message) { call().consumed(message.size()); }
  // The caller has sent its last message.
  virtual void on_remote_closed() {}
  // send() may be tried again.
  virtual void on_writable() {}
  // The daemon stops: a call that would last ends here; others have some time to finish.
  virtual void on_drain() {}

 protected:
  Call& call() { return *call_; }

 private:
  // The call is open: call() may be used from here on.
  virtual void start() {}

  Call* call_ = nullptr;
};

}  // namespace hostcall::daemon
