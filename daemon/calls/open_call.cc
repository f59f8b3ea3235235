#include "daemon/calls/open_call.h"

#include <utility>

namespace hostcall::daemon {

OpenCall::OpenCall(CallOwner& owner, Reactor& reactor, wire::Stream& stream, const Method& method, Charge streams,
                   TimePoint deadline, std::shared_ptr<const Method> routed)
    : began(reactor.now()),
      owner_(owner),
      stream_(&stream),
      routed_(std::move(routed)),
      method_(method),
      streams_(std::move(streams)),
      deadline_(reactor, Callback::to<&OpenCall::deadline_passed>(this)) {
  stream.context = this;
  if (deadline != kNever) deadline_.set(deadline);
}

void OpenCall::run(std::unique_ptr<CallHandler> handler) {
  handler_ = std::move(handler);
  handler_->begin(*this);
}

void OpenCall::resume(std::unique_ptr<CallHandler> handler, bool owes_first) {
  owes_first_ = owes_first;
  handler_ = std::move(handler);
  handler_->resume(*this);
}

wire::SendOutcome OpenCall::send(const wire::Payload& message) {
  return over() ? wire::SendOutcome::kEnded : owner_.send_message(*this, message);
}

Status OpenCall::reserve_reply(std::size_t bytes) {
  return over() ? Status{Code::kCancelled, "the call is over"} : owner_.reserve_reply(*this, bytes);
}

void OpenCall::reply(const google::protobuf::MessageLite& message) {
  if (!over()) owner_.end_call(*this, {}, payload_of(message));
}

void OpenCall::finish(const Status& status) {
  if (!over()) owner_.end_call(*this, status, {});
}

void OpenCall::pass_on(const Status& status, std::string_view reply) {
  if (!over()) owner_.pass_on_end(*this, status, reply);
}

void OpenCall::take_first(std::string_view message) {
  if (over()) return;
  owes_first_ = takes_first_ = true;
  handler_->on_message(message);
  takes_first_ = false;
}

// The message that came with the Request used no credit. Messages are consumed in order, so it is the first one.
void OpenCall::consumed(std::size_t message_bytes) {
  if (std::exchange(owes_first_, false) || over()) return;
  owner_.give_credit(*this, message_bytes);
}

void OpenCall::kept(std::size_t message_bytes) {
  if (!takes_first_ && !over()) owner_.keep_message(*this, message_bytes);
}

void OpenCall::close() {
  stream_ = nullptr;
  deadline_.cancel();
  streams_.reset();
  reply_room.reset();
  stop_waiting();
}

}  // namespace hostcall::daemon
