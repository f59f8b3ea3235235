#include "daemon/calls/open_call.h"

namespace hostcall::daemon {

OpenCall::OpenCall(Session& session, wire::Stream& stream, const Method& method, Charge streams, TimePoint deadline)
    : session_(session),
      stream_(&stream),
      method_(method),
      streams_(std::move(streams)),
      deadline_(session.environment_.reactor, Callback::to<&OpenCall::on_deadline>(this)) {
  stream.context = this;
  deadline_.set(deadline);
}

void OpenCall::run(std::unique_ptr<Operation> operation) {
  operation_ = std::move(operation);
  operation_->start();
}

wire::SendOutcome OpenCall::send(const google::protobuf::MessageLite& message) {
  if (over()) return wire::SendOutcome::kEnded;
  const auto payload = payload_of(message);
  if (!session_.output_has_room(payload.size())) {
    finish({Code::kResourceExhausted, method_.name + ": the VM's limit outbound_bytes (" +
                                          std::to_string(session_.caller_.vm->quota.limits().outbound_bytes) +
                                          ") is used up by replies that it has not read"});
    return wire::SendOutcome::kEnded;
  }
  const auto outcome = session_.endpoint_.send_data(*stream_, payload);
  if (outcome == wire::SendOutcome::kSent) session_.settle_output();
  session_.owner_.flush_soon();
  return outcome;
}

void OpenCall::reply(const google::protobuf::MessageLite& message) {
  if (over()) return;
  auto& stream = *stream_;
  session_.retire(*this);
  session_.answer(stream, {}, payload_of(message));
}

void OpenCall::finish(const Status& status) {
  if (over()) return;
  if (status.code == Code::kResourceExhausted) session_.limit_reached(status.message);
  auto& stream = *stream_;
  session_.retire(*this);
  if (status.ok() && wire::server_streams(method_.shape)) {
    session_.endpoint_.close_stream(stream);
    session_.owner_.flush_soon();
  } else {
    session_.answer(stream, status);
  }
}

void OpenCall::consumed(std::size_t message_bytes) {
  if (over()) return;
  session_.endpoint_.consumed(*stream_, message_bytes);
  session_.owner_.flush_soon();
}

void OpenCall::drop() {
  stream_ = nullptr;
  deadline_.cancel();
  streams_.reset();
}

void OpenCall::on_deadline() {
  ++session_.environment_.stats.calls_timed_out;
  finish({Code::kDeadlineExceeded, method_.name + " was not done before the call's deadline"});
}

}  // namespace hostcall::daemon
