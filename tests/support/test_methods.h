// Methods for tests of the calls: Session/Ping answers at once, Diagnostics/EchoStream sends each message back,
// Diagnostics/Source sends as much as it is let, Diagnostics/Sink counts. Named as real ones, served by the tests.
#pragma once

#include "daemon/calls/router.h"
#include "hostcall/v1/diagnostics.hostcall.h"
#include "hostcall/v1/session.hostcall.h"
#include "proto/wire/frame.h"
#include "tests/support/frames.h"

namespace hostcall::daemon::test {

class TestEcho final : public CallHandler {
 public:
  void on_message(std::string_view message) override {
    v1::EchoRequest request;
    if (!parse_message(message, request)) return call().finish(unparseable("EchoStream"));
    if (request.payload() == "fail") return call().finish({Code::kAborted, "asked to"});
    v1::EchoResponse response;
    response.set_payload(request.payload());
    (void)call().send(response);
    call().consumed(message.size());
  }
  void on_remote_closed() override { call().finish({}); }
};

class TestSource final : public CallHandler {
 public:
  explicit TestSource(std::uint64_t bytes) : left_(bytes) {}
  void on_writable() override { pump(); }
  void on_drain() override { call().finish({Code::kUnavailable, "draining"}); }

 private:
  void start() override { pump(); }
  void pump() {
    v1::Chunk chunk;
    chunk.set_data(std::string(16 * 1024, 's'));
    while (left_ >= chunk.data().size()) {
      if (call().send(chunk) != wire::SendOutcome::kSent) return;
      left_ -= chunk.data().size();
    }
    call().finish({});
  }
  std::uint64_t left_;
};

// Keeps what it counts, charged to the VM.
class TestSink final : public CallHandler {
 public:
  explicit TestSink(const Caller& caller) : held_(caller.charge(Resource::kMemory)) {}
  void on_message(std::string_view message) override {
    ++messages_;
    if (!held_.try_grow(message.size())) return call().finish({Code::kResourceExhausted, "no memory"});
    call().consumed(message.size());
  }
  void on_remote_closed() override {
    v1::SinkResponse response;
    response.set_messages(messages_);
    call().reply(response);
  }

 private:
  std::uint64_t messages_ = 0;
  Charge held_;
};

inline void register_test_methods(Router& router) {
  namespace D = v1::Diagnostics;
  router.protocol<v1::Session::Hello>(Audience::kGuest);
  router.unary<v1::Session::Ping>(
      Audience::kGuest, [](const CallContext&, const v1::PingRequest& request, v1::PingResponse& response) -> Status {
        if (request.payload() == "huge") response.set_payload(std::string(wire::kMaxDataBytes, 'h'));
        if (request.payload() == "limit") return {Code::kResourceExhausted, "a limit of the handler"};
        if (response.payload().empty()) response.set_payload(request.payload());
        return {};
      });
  // Its payload is the resource.
  router.unary_of<D::Echo>(
      Audience::kGuest, [](const v1::EchoRequest& request) -> std::string_view { return request.payload(); },
      [](const CallContext&, const v1::EchoRequest& request, v1::EchoResponse& response) -> Status {
        response.set_payload(request.payload());
        return {};
      });
  router.handled<D::EchoStream>(Audience::kGuest,
                                [](const CallContext&, const v1::EchoRequest&, Handler& handler) -> Status {
                                  handler = std::make_unique<TestEcho>();
                                  return {};
                                });
  router.handled<D::Source>(Audience::kGuest,
                            [](const CallContext&, const v1::SourceRequest& request, Handler& handler) -> Status {
                              if (request.total_bytes() == 0) return {Code::kInvalidArgument, "nothing to send"};
                              handler = std::make_unique<TestSource>(request.total_bytes());
                              return {};
                            });
  router.handled<D::Sink>(Audience::kGuest,
                          [](const CallContext& context, const v1::Chunk&, Handler& handler) -> Status {
                            handler = std::make_unique<TestSink>(context.caller);
                            return {};
                          });
}

// A call of Session/Ping.
inline std::string ping_frame(std::uint32_t stream, const v1::PingRequest& request = {}) {
  return hostcall::test::request_frame(stream, {.service = "hostcall.v1.Session", .method = "Ping"},
                                       request.SerializeAsString());
}

}  // namespace hostcall::daemon::test
