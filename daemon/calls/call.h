// What a service sees of a call, and how it answers. Services know these types and their own messages, never
// connections.
//
// There are two ways to serve a method. A function that can answer at once fills in the response. For a call that takes
// time or streams, it makes a CallHandler: the session opens the call, and destroys the handler when the call ends for
// whatever reason, so its destructor cleans up.
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

// What a handler may ask the session of its call.
class SessionFacts {
 public:
  virtual std::uint64_t session_id() const = 0;
  virtual void list_allowed(v1::ListServicesResponse& response) const = 0;
  // Asks policy about one more resource of a call, as if it were the method's own: charges the rate of the deciding
  // rule, and audits a denial.
  virtual Status authorize(const Method& method, std::string_view resource) = 0;
  // Whether policy allows the resource. For answers that leave out what the caller may not see.
  virtual bool may(const Method& method, std::string_view resource) const = 0;

 protected:
  ~SessionFacts() = default;
};

// What every function and handler gets.
struct CallContext {
  const Caller& caller;
  SessionFacts& session;
  TimePoint now;
  TimePoint deadline;
  std::uint32_t max_message_bytes;
};

// Serialises the message straight into the output.
wire::Payload payload_of(const google::protobuf::MessageLite& message);

// A handler's interface to its open call. Its functions may be called until the handler is destroyed; after finish() or
// reply() they do nothing.
class Call {
 public:
  // Sends a message of a streamed reply. kBlocked: the message was not sent, and on_writable() follows.
  virtual wire::SendOutcome send(const google::protobuf::MessageLite& message) = 0;
  // Ends the call with OK and its single reply. Destroys the handler at the end of the turn.
  virtual void reply(const google::protobuf::MessageLite& message) = 0;
  // Ends the call; OK ends a streamed reply. Destroys the handler at the end of the turn.
  virtual void finish(const Status& status) = 0;
  // Returns the credit for so many bytes to the caller.
  virtual void consumed(std::size_t message_bytes) = 0;

 protected:
  ~Call() = default;
};

// Serves one open call.
class CallHandler {
 public:
  CallHandler() = default;
  virtual ~CallHandler() = default;
  CallHandler(const CallHandler&) = delete;
  CallHandler& operator=(const CallHandler&) = delete;

  // The session calls it once, when it opens the call.
  void begin(Call& call) {
    call_ = &call;
    start();
  }

  // A message of a streamed request. The view is valid until this returns. Call consumed() when done with the message.
  virtual void on_message(std::string_view message) { call().consumed(message.size()); }
  // The caller has sent its last message.
  virtual void on_remote_closed() {}
  // send() may succeed again.
  virtual void on_writable() {}
  // The daemon is stopping. End a call that would last; others get some time to finish.
  virtual void on_drain() {}

 protected:
  Call& call() { return *call_; }

 private:
  // The call is open. From here on, call() is valid.
  virtual void start() {}

  Call* call_ = nullptr;
};

}  // namespace hostcall::daemon
