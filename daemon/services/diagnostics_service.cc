#include "daemon/services/diagnostics_service.h"

#include <algorithm>
#include <deque>

#include "hostcall/v1/diagnostics.hostcall.h"

namespace hostcall::daemon {
namespace {

constexpr std::uint32_t kMaxDelayMs = 60'000;
// What a Chunk adds to its data.
constexpr std::uint32_t kChunkOverhead = 64;

// Echo with a delay: the answer waits in a timer.
class DelayedEcho final : public Operation {
 public:
  DelayedEcho(ServerCall& call, Reactor& reactor, const v1::EchoRequest& request, Charge held)
      : Operation(call), timer_(reactor, Callback::to<&DelayedEcho::answer>(this)), held_(std::move(held)) {
    response_.set_payload(request.payload());
    timer_.set(reactor.now() + milliseconds(request.delay_ms()));
  }

 private:
  void answer() { call().reply(response_); }

  Timer timer_;
  Charge held_;
  v1::EchoResponse response_;
};

Status no_memory(const Caller& caller) {
  return {Code::kResourceExhausted, caller.title() + ": the limit memory_bytes is reached; send less at once"};
}

Status echo(Reactor& reactor, const CallContext& context, const v1::EchoRequest& request, ServerCall& call,
            std::unique_ptr<Operation>& operation) {
  if (request.delay_ms() > kMaxDelayMs)
    return {Code::kInvalidArgument, "delay_ms is " + std::to_string(request.delay_ms()) + ", at most " +
                                        std::to_string(kMaxDelayMs) + " is allowed"};
  if (request.delay_ms() == 0) {
    v1::EchoResponse response;
    response.set_payload(request.payload());
    call.reply(response);
    return {};
  }
  auto held = context.caller.charge(Resource::kMemory);
  if (!held.try_grow(request.payload().size())) return no_memory(context.caller);
  operation = std::make_unique<DelayedEcho>(call, reactor, request, std::move(held));
  return {};
}

// Sends each message back. What the peer does not take waits here, charged to the VM.
class EchoStream final : public Operation {
 public:
  EchoStream(ServerCall& call, const Caller& caller)
      : Operation(call), caller_(caller), held_(caller.charge(Resource::kMemory)) {}

  void on_message(std::string_view message) override {
    if (!held_.try_grow(message.size())) return call().finish(no_memory(caller_));
    waiting_.emplace_back(message);
    send_waiting();
  }
  void on_remote_closed() override {
    closed_ = true;
    send_waiting();
  }
  void on_writable() override { send_waiting(); }

 private:
  void send_waiting() {
    while (!waiting_.empty()) {
      v1::EchoRequest request;
      if (!parse_message(waiting_.front(), request))
        return call().finish(unparseable(v1::Diagnostics::EchoStream::kFullName));
      v1::EchoResponse response;
      response.set_payload(request.payload());
      if (call().send(response) != wire::SendOutcome::kSent) return;
      const auto size = waiting_.front().size();
      waiting_.pop_front();
      held_.shrink(size);
      call().consumed(size);
    }
    if (closed_) call().finish({});
  }

  const Caller& caller_;
  Charge held_;
  std::deque<std::string> waiting_;
  bool closed_ = false;
};

class Source final : public Operation {
 public:
  Source(ServerCall& call, const v1::SourceRequest& request) : Operation(call), left_(request.total_bytes()) {
    chunk_.mutable_data()->resize(request.chunk_bytes());
    auto& data = *chunk_.mutable_data();
    for (std::size_t i = 0; i < data.size(); ++i) data[i] = static_cast<char>(i);
  }
  void start() override { send_some(); }
  void on_writable() override { send_some(); }

 private:
  void send_some() {
    while (left_ != 0) {
      if (left_ < chunk_.data().size()) chunk_.mutable_data()->resize(static_cast<std::size_t>(left_));
      if (call().send(chunk_) != wire::SendOutcome::kSent) return;
      left_ -= chunk_.data().size();
    }
    call().finish({});
  }

  std::uint64_t left_;
  v1::Chunk chunk_;
};

class Sink final : public Operation {
 public:
  using Operation::Operation;
  void on_message(std::string_view message) override {
    if (!parse_message(message, chunk_)) return call().finish(unparseable(v1::Diagnostics::Sink::kFullName));
    response_.set_total_bytes(response_.total_bytes() + chunk_.data().size());
    response_.set_messages(response_.messages() + 1);
    call().consumed(message.size());
  }
  void on_remote_closed() override { call().reply(response_); }

 private:
  v1::Chunk chunk_;
  v1::SinkResponse response_;
};

Status source(const CallContext& context, const v1::SourceRequest& request, ServerCall& call,
              std::unique_ptr<Operation>& operation) {
  const auto most = context.max_message_bytes - kChunkOverhead;
  if (request.chunk_bytes() == 0 || request.chunk_bytes() > most)
    return {Code::kInvalidArgument,
            "chunk_bytes is " + std::to_string(request.chunk_bytes()) + ", it must be 1 to " + std::to_string(most)};
  operation = std::make_unique<Source>(call, request);
  return {};
}

}  // namespace

void register_diagnostics_service(Router& router, Reactor& reactor) {
  namespace Diagnostics = v1::Diagnostics;
  router.operation<Diagnostics::Echo>(
      Audience::kGuest,
      [&reactor](const CallContext& context, const v1::EchoRequest& request, ServerCall& call,
                 std::unique_ptr<Operation>& operation) { return echo(reactor, context, request, call, operation); });
  router.operation<Diagnostics::EchoStream>(Audience::kGuest,
                                            [](const CallContext& context, const v1::EchoRequest&, ServerCall& call,
                                               std::unique_ptr<Operation>& operation) -> Status {
                                              operation = std::make_unique<EchoStream>(call, context.caller);
                                              return {};
                                            });
  router.operation<Diagnostics::Source>(Audience::kGuest, source);
  router.operation<Diagnostics::Sink>(
      Audience::kGuest,
      [](const CallContext&, const v1::Chunk&, ServerCall& call, std::unique_ptr<Operation>& operation) -> Status {
        operation = std::make_unique<Sink>(call);
        return {};
      });
  router.check_complete(Diagnostics::kAllMethods);
}

}  // namespace hostcall::daemon
