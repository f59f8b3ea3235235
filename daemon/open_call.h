// OpenCall: a call that was not answered at once: its stream, its Operation, its deadline and its charge. Session owns
// it until the call is over; it then lives to the end of the turn, so that an Operation can end its own call.
#pragma once

#include <memory>

#include "daemon/call.h"
#include "daemon/reactor.h"
#include "daemon/router.h"
#include "daemon/session.h"

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

}  // namespace hostcall::daemon
