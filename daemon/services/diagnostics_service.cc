#include "daemon/services/diagnostics_service.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/wire_format_lite.h>

#include <algorithm>
#include <deque>
#include <optional>

#include "hostcall/v1/diagnostics.hostcall.h"

namespace hostcall::daemon {
namespace {

constexpr std::uint32_t kMaxDelayMs = 60'000;
// The most that a Chunk adds to its data.
constexpr std::uint32_t kChunkOverhead = 64;

// Echo with a delay: a timer answers.
class DelayedEcho final : public CallHandler {
 public:
  DelayedEcho(Reactor& reactor, const v1::EchoRequest& request, Charge held)
      : timer_(reactor, Callback::to<&DelayedEcho::answer>(this)), held_(std::move(held)) {
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
  return {Code::kResourceExhausted,
          caller.title() + ": the limit memory_bytes is reached; send less at once",
          {},
          {},
          "memory_bytes"};
}

Status echo(Reactor& reactor, const CallContext& context, v1::EchoRequest& request, v1::EchoResponse& response,
            Handler& handler) {
  if (request.delay_ms() > kMaxDelayMs)
    return {Code::kInvalidArgument, "delay_ms is " + std::to_string(request.delay_ms()) + ", at most " +
                                        std::to_string(kMaxDelayMs) + " is allowed"};
  if (request.delay_ms() == 0) {
    response.mutable_payload()->swap(*request.mutable_payload());
    return {};
  }
  auto held = context.caller.charge(Resource::kMemory);
  if (!held.try_grow(request.payload().size())) return no_memory(context.caller);
  handler = std::make_unique<DelayedEcho>(reactor, request, std::move(held));
  return {};
}

// What a waiting message costs besides its bytes.
constexpr std::size_t kMessageOverhead = 64;

// Sends each message back. Charges the VM for those that the peer does not take yet.
class EchoStream final : public CallHandler {
 public:
  explicit EchoStream(const Caller& caller) : caller_(caller), held_(caller.charge(Resource::kMemory)) {}

  void on_message(std::string_view message) override {
    if (!held_.try_grow(message.size() + kMessageOverhead)) return call().finish(no_memory(caller_));
    waiting_.emplace_back(message);
    call().kept(message.size());
    if (!blocked_) send_waiting();
  }
  void on_remote_closed() override {
    closed_ = true;
    if (!blocked_) send_waiting();
  }
  void on_writable() override {
    blocked_ = false;
    send_waiting();
  }

 private:
  void send_waiting() {
    while (!waiting_.empty())
      if (!send_first()) return;
    if (closed_) call().finish({});
  }
  // False: it can't be sent now, or the call is over. Asks before it parses and copies the message, which has no more
  // bytes in the response.
  bool send_first() {
    const auto size = waiting_.front().size();
    blocked_ = !call().may_send(size);
    if (blocked_) return false;
    v1::EchoRequest request;
    if (!parse_message(waiting_.front(), request)) {
      call().finish(unparseable(v1::Diagnostics::EchoStream::kFullName));
      return false;
    }
    v1::EchoResponse response;
    response.mutable_payload()->swap(*request.mutable_payload());
    blocked_ = call().send(response) != wire::SendOutcome::kSent;
    if (blocked_) return false;
    waiting_.pop_front();
    held_.shrink(size + kMessageOverhead);
    call().consumed(size);
    return true;
  }

  const Caller& caller_;
  Charge held_;
  std::deque<std::string> waiting_;
  bool closed_ = false;
  bool blocked_ = false;  // until on_writable()
};

class Source final : public CallHandler {
 public:
  // `held`: the VM's charge for the chunk.
  Source(const v1::SourceRequest& request, Charge held) : held_(std::move(held)), left_(request.total_bytes()) {
    chunk_.mutable_data()->resize(request.chunk_bytes());
    auto& data = *chunk_.mutable_data();
    for (std::size_t i = 0; i < data.size(); ++i) data[i] = static_cast<char>(i);
  }
  void on_writable() override { send_some(); }

 private:
  void start() override { send_some(); }
  void send_some() {
    while (left_ != 0) {
      if (left_ < chunk_.data().size()) chunk_.mutable_data()->resize(static_cast<std::size_t>(left_));
      if (call().send(chunk_) != wire::SendOutcome::kSent) return;
      left_ -= chunk_.data().size();
    }
    call().finish({});
  }

  Charge held_;
  std::uint64_t left_;
  v1::Chunk chunk_;
};

// The size of a Chunk's data, read in place, because parsing would copy the data for nobody. Nothing if the message is
// not a Chunk.
std::optional<std::size_t> data_bytes(std::string_view message) {
  using google::protobuf::internal::WireFormatLite;
  constexpr auto kData =
      WireFormatLite::MakeTag(v1::Chunk::kDataFieldNumber, WireFormatLite::WIRETYPE_LENGTH_DELIMITED);
  google::protobuf::io::CodedInputStream in(reinterpret_cast<const std::uint8_t*>(message.data()),
                                            static_cast<int>(message.size()));
  std::size_t bytes = 0;
  while (const auto tag = in.ReadTag()) {
    std::uint32_t length = 0;
    if (tag != kData) {
      if (!WireFormatLite::SkipField(&in, tag)) return std::nullopt;
    } else if (in.ReadVarint32(&length) && in.Skip(static_cast<int>(length))) {
      bytes = length;
    } else {
      return std::nullopt;
    }
  }
  if (!in.ConsumedEntireMessage()) return std::nullopt;
  return bytes;
}

class Sink final : public CallHandler {
 public:
  void on_message(std::string_view message) override {
    const auto bytes = data_bytes(message);
    if (!bytes) return call().finish(unparseable(v1::Diagnostics::Sink::kFullName));
    response_.set_total_bytes(response_.total_bytes() + *bytes);
    response_.set_messages(response_.messages() + 1);
    call().consumed(message.size());
  }
  void on_remote_closed() override { call().reply(response_); }

 private:
  v1::SinkResponse response_;
};

Status source(const CallContext& context, const v1::SourceRequest& request, Handler& handler) {
  const auto most = context.max_message_bytes - kChunkOverhead;
  if (request.chunk_bytes() == 0 || request.chunk_bytes() > most)
    return {Code::kInvalidArgument,
            "chunk_bytes is " + std::to_string(request.chunk_bytes()) + ", it must be 1 to " + std::to_string(most)};
  auto held = context.caller.charge(Resource::kMemory);
  if (!held.try_grow(request.chunk_bytes())) return no_memory(context.caller);
  handler = std::make_unique<Source>(request, std::move(held));
  return {};
}

}  // namespace

void register_diagnostics_service(Router& router, Reactor& reactor) {
  namespace Diagnostics = v1::Diagnostics;
  router.unary<Diagnostics::Echo>(
      Audience::kGuest, [&reactor](const CallContext& context, v1::EchoRequest& request, v1::EchoResponse& response,
                                   Handler& handler) { return echo(reactor, context, request, response, handler); });
  router.handled<Diagnostics::EchoStream>(
      Audience::kGuest, [](const CallContext& context, const v1::EchoRequest&, Handler& handler) -> Status {
        handler = std::make_unique<EchoStream>(context.caller);
        return {};
      });
  router.handled<Diagnostics::Source>(Audience::kGuest, source);
  router.handled<Diagnostics::Sink>(Audience::kGuest,
                                    [](const CallContext&, const v1::Chunk&, Handler& handler) -> Status {
                                      handler = std::make_unique<Sink>();
                                      return {};
                                    });
  router.check_complete(Diagnostics::kAllMethods);
}

}  // namespace hostcall::daemon
