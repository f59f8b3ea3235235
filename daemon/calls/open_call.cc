#include "daemon/calls/open_call.h"

namespace hostcall::daemon {

OpenCall::OpenCall(CallOwner& owner, Reactor& reactor, wire::Stream& stream, const Method& method, Charge streams,
                   TimePoint deadline)
    : owner_(owner),
      stream_(&stream),
      method_(method),
      streams_(std::move(streams)),
      deadline_(reactor, Callback::to<&OpenCall::deadline_passed>(this)) {
  stream.context = this;
  deadline_.set(deadline);
}

void OpenCall::run(std::unique_ptr<CallHandler> handler) {
  handler_ = std::move(handler);
  handler_->begin(*this);
}

wire::SendOutcome OpenCall::send(const google::protobuf::MessageLite& message) {
  return over() ? wire::SendOutcome::kEnded : owner_.send_message(*this, payload_of(message));
}

void OpenCall::reply(const google::protobuf::MessageLite& message) {
  if (!over()) owner_.end_call(*this, {}, payload_of(message));
}

void OpenCall::finish(const Status& status) {
  if (!over()) owner_.end_call(*this, status, {});
}

void OpenCall::consumed(std::size_t message_bytes) {
  if (!over()) owner_.give_credit(*this, message_bytes);
}

void OpenCall::close() {
  stream_ = nullptr;
  deadline_.cancel();
  streams_.reset();
}

}  // namespace hostcall::daemon
