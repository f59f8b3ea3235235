// OpenCall: a call that was not answered at once: its stream, its Operation, its deadline and its charge. Session owns
// it until the call is over; it then lives to the end of the turn, so that an Operation can end its own call.
#pragma once

#include <memory>

#include "daemon/calls/call.h"
#include "daemon/calls/router.h"
#include "daemon/calls/session.h"
#include "daemon/loop/reactor.h"

namespace hostcall::daemon {

class OpenCall final : public ServerCall {
 public:
  OpenCall(Session& session, wire::Stream& stream, const Method& method, Charge streams, TimePoint deadline);

  // Takes the Operation and lets it begin.
  void run(std::unique_ptr<Operation> operation);
  Operation* operation() { return operation_.get(); }
  // Over: the stream is gone, nothing may be sent.
  bool over() const { return stream_ == nullptr; }
  // Ends the call without a word to the peer.
  void drop();

  wire::SendOutcome send(const google::protobuf::MessageLite& message) override;
  void reply(const google::protobuf::MessageLite& message) override;
  void finish(const Status& status) override;
  void consumed(std::size_t message_bytes) override;

 private:
  void on_deadline();

  Session& session_;
  wire::Stream* stream_;
  const Method& method_;
  Charge streams_;
  Timer deadline_;
  std::unique_ptr<Operation> operation_;
};

// Opens the call that a session is just starting, if its handler asks for it.
class CallToOpen final : public Later {
 public:
  CallToOpen(Session& session, wire::Stream& stream, const Method& method, Charge streams, TimePoint deadline)
      : session_(session), stream_(stream), method_(method), streams_(std::move(streams)), deadline_(deadline) {}

  // The call of take()'s Operation.
  std::unique_ptr<OpenCall> take_call() { return std::move(call_); }

 private:
  ServerCall& open() override {
    call_ = std::make_unique<OpenCall>(session_, stream_, method_, std::move(streams_), deadline_);
    return *call_;
  }

  Session& session_;
  wire::Stream& stream_;
  const Method& method_;
  Charge streams_;
  TimePoint deadline_;
  std::unique_ptr<OpenCall> call_;
};

}  // namespace hostcall::daemon
