// OpenCall: a call that was not answered at once: its stream, handler, deadline and charge. Its owner, the session,
// keeps it until the call ends, and a little longer, so that a handler can end its own call.
#pragma once

#include <memory>

#include "daemon/calls/call.h"
#include "daemon/calls/router.h"
#include "daemon/loop/reactor.h"

namespace hostcall::daemon {

class OpenCall;

// Carries out what a call asks for. Never called for one that is over.
class CallOwner {
 public:
  virtual Status reserve_reply(OpenCall& call, std::size_t bytes) = 0;
  virtual wire::SendOutcome send_message(OpenCall& call, const wire::Payload& message) = 0;
  virtual bool may_send(OpenCall& call, std::size_t bytes) = 0;
  // Sends the status to the peer, with the single reply if there is one, and removes the call.
  virtual void end_call(OpenCall& call, const Status& status, const wire::Payload& reply) = 0;
  // See Call::pass_on(). Removes the call.
  virtual void pass_on_end(OpenCall& call, const Status& status, std::string_view reply) = 0;
  // The call has room for the message that it waited to send. Called from within other calls' work.
  virtual void has_room(OpenCall& call) = 0;
  virtual void give_credit(OpenCall& call, std::size_t message_bytes) = 0;
  virtual void keep_message(OpenCall& call, std::size_t message_bytes) = 0;
  virtual void on_deadline(OpenCall& call) = 0;

 protected:
  ~CallOwner() = default;
};

class OpenCall final : public Call, public RoomWaiter {
 public:
  // A deadline of kNever: it has none. `routed`: the method, if it lives as long as its calls; else null.
  OpenCall(CallOwner& owner, Reactor& reactor, wire::Stream& stream, const Method& method, Charge streams,
           TimePoint deadline, std::shared_ptr<const Method> routed = nullptr);

  // Takes ownership of the handler and starts it.
  void run(std::unique_ptr<CallHandler> handler);
  // The same for a handler that goes on where another daemon's has been.
  void resume(std::unique_ptr<CallHandler> handler, bool owes_first);
  bool owes_first() const { return owes_first_; }
  TimePoint deadline() const { return deadline_.deadline(); }
  // Gives the handler a message of the stream that came with its Request.
  void take_first(std::string_view message);
  CallHandler& handler() { return *handler_; }
  const CallHandler& handler() const { return *handler_; }
  const Method& method() const { return method_; }
  // Only for a call that is not over.
  wire::Stream& stream() { return *stream_; }
  const wire::Stream& stream() const { return *stream_; }
  // The stream is gone: nothing more can be sent.
  bool over() const { return stream_ == nullptr; }
  // Ends the call without telling the peer.
  void close();

  using Call::send;
  wire::SendOutcome send(const wire::Payload& message) override;
  bool may_send(std::size_t bytes) override { return !over() && owner_.may_send(*this, bytes); }
  void pass() override { give_up_room(); }
  Status reserve_reply(std::size_t bytes) override;
  void reply(const google::protobuf::MessageLite& message) override;
  void finish(const Status& status) override;
  void pass_on(const Status& status, std::string_view reply) override;
  void consumed(std::size_t message_bytes) override;
  void kept(std::size_t message_bytes) override;

  const TimePoint began;     // the turn that opened it
  std::size_t position = 0;  // in the owner's list of calls
  Charge reply_room;         // what reserve_reply() has got

 private:
  void on_room() override { owner_.has_room(*this); }
  void deadline_passed() { owner_.on_deadline(*this); }

  CallOwner& owner_;
  wire::Stream* stream_;
  const std::shared_ptr<const Method> routed_;
  const Method& method_;
  Charge streams_;
  Timer deadline_;
  std::unique_ptr<CallHandler> handler_;
  bool takes_first_ = false;  // the message that came with the Request
  bool owes_first_ = false;   // the message that came with the Request is not consumed yet
};

}  // namespace hostcall::daemon
