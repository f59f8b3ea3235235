// What a service sees of a call, and how it answers. Services know these types and their own messages, never
// connections.
//
// There are two ways to serve a method. A function that can answer at once fills in the response. For a call that takes
// time or streams, it makes a CallHandler: the session opens the call, and destroys the handler when the call ends for
// whatever reason, so its destructor cleans up.
#pragma once

#include <google/protobuf/message_lite.h>

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/config/rule.h"
#include "daemon/handover/forward.h"
#include "daemon/loop/work.h"
#include "daemon/vms/audit.h"
#include "daemon/vms/caller.h"
#include "hostcall/v1/session.pb.h"
#include "proto/base/clock.h"
#include "proto/wire/endpoint.h"
#include "proto/wire/status.h"

namespace hostcall::daemon {

class Method;
using wire::Code;
using wire::Status;

// A call for policy to decide. A request can be several: each step of a transaction is one.
struct Ask {
  enum class Branch : std::uint8_t { kAlways, kThen, kElse };
  const Method* method;
  std::string_view resource;        // empty: none. Its text must outlive this.
  std::string_view reason = {};     // why the request asks, where that is not plain: the start of a denial's text
  Branch branch = Branch::kAlways;  // of kThen and kElse, only one takes place
};

// All that a request asks of policy and of the VM's rates.
struct Asks {
  std::vector<Ask> calls;
  std::size_t writes = 0;  // for store_write_rate
};

// What a handler may ask the session of its call.
class SessionFacts {
 public:
  virtual std::uint64_t session_id() const = 0;
  // The boot that the session belongs to: what its own Hello has told. Empty: none, because it has not told any.
  virtual const std::string& boot_id() const = 0;
  // Returns the units that it took.
  virtual std::size_t list_allowed(v1::ListServicesResponse& response) const = 0;
  // Decides all that a request asks, and takes it off the rates: all or nothing. Records a refusal.
  virtual Status authorize(std::span<const Ask> calls, std::size_t writes) = 0;
  // The same for what a message of a streamed request asks.
  virtual Status authorize_message(std::span<const Ask> calls) = 0;
  // The rule that has just allowed what was asked first. Null: none, for an administrator. Valid until it returns.
  virtual const Rule* allowed_by() const = 0;
  // Whether policy allows the call. For answers that leave out what the caller may not see. Adds to `looked_at` the
  // number of rules that it took.
  virtual bool may(const Ask& ask, std::size_t& looked_at) const = 0;
  virtual std::size_t max_reply_bytes() const = 0;
  // Counts work against the caller's share of the daemon's time; see daemon/loop/work.h.
  virtual void spend(Units units) = 0;
  // The caller's share. Lives as long as the session.
  virtual Share& share() = 0;

 protected:
  ~SessionFacts() = default;
};

// What every function and handler gets.
struct CallContext {
  const Caller& caller;
  SessionFacts& session;
  TimePoint now;
  TimePoint deadline;  // kNever: none
  std::uint32_t max_message_bytes;
  // The Request as it came, until the handler has started.
  const wire::RequestView* request = nullptr;

  // The largest reply that the caller can be sent now. Check it before building one that may be larger.
  std::size_t max_reply_bytes() const { return session.max_reply_bytes(); }
  // Counts what serving the call costs beyond its messages: a unit is about a microsecond.
  void spend(Units units) const { session.spend(units); }
  void spend(std::size_t units) const { session.spend(static_cast<Units>(units)); }
};

// Serialises the message straight into the output.
wire::Payload payload_of(const google::protobuf::MessageLite& message);

// A handler's interface to its open call. Its functions may be called until the handler is destroyed; after finish() or
// reply() they do nothing.
class Call {
 public:
  // Sends a message of a streamed reply. kBlocked: the message was not sent, and on_writable() follows.
  wire::SendOutcome send(const google::protobuf::MessageLite& message) { return send(payload_of(message)); }
  // The same for a message that is serialised already.
  virtual wire::SendOutcome send(const wire::Payload& message) = 0;
  // Whether send() would send a message of so many bytes now. Ask before building one that costs something. False:
  // on_writable() follows, or the call is over.
  virtual bool may_send(std::size_t bytes = 0) = 0;
  // on_writable() was called, but there is nothing to send: others may have the room that was kept for it.
  virtual void pass() = 0;
  // Reserves the room for a reply of up to so many bytes, or tells why there is none. After OK, reply() can't be
  // refused: for calls whose work can't be undone.
  [[nodiscard]] virtual Status reserve_reply(std::size_t bytes) = 0;
  // Ends the call with OK and its single reply. Destroys the handler at the end of the turn.
  virtual void reply(const google::protobuf::MessageLite& message) = 0;
  // Ends the call; OK ends a streamed reply. Destroys the handler at the end of the turn.
  virtual void finish(const Status& status) = 0;
  // Ends the call as the server of a routed service has: with its status, with all details, and its single reply.
  virtual void pass_on(const Status& status, std::string_view reply) = 0;
  // Returns the credit for a message of so many bytes to the caller. Call it once for each message, in order.
  virtual void consumed(std::size_t message_bytes) = 0;
  // The handler keeps the message, charged to the VM, until it calls consumed() for it. It holds up no other call of
  // the connection then. Call it at most once for each message, in order.
  virtual void kept(std::size_t message_bytes) = 0;

 protected:
  ~Call() = default;
};

// What the record of a call needs from the time when it begins: the rule may be gone when it ends.
struct RecordBegin {
  std::string rule_file;  // of the rule that has allowed the call; empty: it is an administrator's
  unsigned rule_line = 0;
  TimePoint began;

  RecordBegin(const Rule* rule, TimePoint now)
      : rule_file(rule == nullptr ? std::string() : rule->file),
        rule_line(rule == nullptr ? 0 : rule->line),
        began(now) {}
  std::string rule() const {
    return rule_file.empty() ? "none: an administrator" : rule_file + ":" + std::to_string(rule_line);
  }
};

// Serves one open call.
class CallHandler {
 public:
  CallHandler() = default;
  virtual ~CallHandler() = default;
  CallHandler(const CallHandler&) = delete;
  CallHandler& operator=(const CallHandler&) = delete;

  // What the call is about, for policy, which decides again when it changes. Empty: the method has no resource.
  std::string resource;
  // The call is recorded when it has ended. Nothing: it is not.
  std::optional<RecordBegin> record;
  // Of the record: it has a budget of its own.
  virtual bool runs_program() const { return false; }
  // Completes the record. `outcome`: how the call ends, unless the handler knows better.
  virtual void describe(CallRecord&) const {}
  // False: the work can't be taken back, so the call is answered whatever policy says meanwhile.
  virtual bool may_be_ended() const { return true; }

  // The session calls it once, when it opens the call.
  void begin(Call& call) {
    call_ = &call;
    start();
  }

  // As begin(), for a call that another daemon has handed over.
  void resume(Call& call) {
    call_ = &call;
    resumed();
  }

  // Whether another daemon could go on with the call now. Otherwise the call may finish, or else it ends.
  virtual bool is_portable() const { return false; }
  // Tells the other daemon what it needs for that.
  virtual void hand_over(handover::Call&, Outgoing&) const {}

  // A message of a streamed request. The view is valid until this returns. Call consumed() when done with the message.
  virtual void on_message(std::string_view message) { call().consumed(message.size()); }
  // The caller has sent its last message.
  virtual void on_remote_closed() {}
  // send() may succeed again. Room may be kept for the message, which nobody else gets until send(), may_send() or
  // pass() is called, now or later.
  virtual void on_writable() { call().pass(); }
  // The daemon is stopping. End a call that would last; others get some time to finish.
  virtual void on_drain() {}

 protected:
  Call& call() { return *call_; }

 private:
  // The call is open. From here on, call() is valid.
  virtual void start() {}
  // The same, in another daemon. No byte may move before the next turn.
  virtual void resumed() {}

  Call* call_ = nullptr;
};

}  // namespace hostcall::daemon
