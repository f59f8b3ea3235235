// Session: the calls of one connection of a server. Handles the engine's events: answers Hello, finds the method,
// checks limits, and starts calls. Knows no descriptor: Connection moves the bytes.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "client/lib/server_environment.h"
#include "client/lib/server_open_call.h"
#include "proto/wire/endpoint.h"

namespace hostcall::server {

// What a session asks its connection to do.
class SessionOwner {
 public:
  // Send the output, and look whether to read, at the end of this turn.
  virtual void flush_soon() = 0;
  // The session is finished: send the rest of the output and close.
  virtual void finish_soon() = 0;

 protected:
  ~SessionOwner() = default;
};

class Session final : private wire::EndpointEvents, private CallOwner {
 public:
  // A refusal that is not OK answers every call.
  Session(Environment& environment, SessionOwner& owner, uid_t peer_uid, std::uint64_t id, wire::Status refusal);

  wire::Endpoint& endpoint() { return endpoint_; }
  const wire::Endpoint& endpoint() const { return endpoint_; }
  std::size_t open_calls() const { return endpoint_.open_streams(); }
  // Whether to read on: base callers have no windows, and are held up as a whole by messages that wait for handlers.
  bool takes_more() const { return endpoint_.has(wire::kFeatureWindow) || kept_ < kMaxBaseKept; }
  // Refuses new calls, ends streamed replies, and finishes with the last open call.
  void drain(const wire::Status& status);
  // Ends all calls. `status`: what callers are told; null: nothing, the connection is lost.
  void end_calls(const wire::Status* status);

 private:
  static constexpr std::size_t kMaxBaseKept = 256 * 1024;

  // EndpointEvents
  void on_request(wire::Stream& stream, const wire::RequestView& request, bool remote_open) override;
  void on_response(wire::Stream&, const wire::ResponseView&) override {}  // only a client gets these
  void on_data(wire::Stream& stream, std::string_view data) override;
  void on_remote_closed(wire::Stream& stream) override;
  void on_refused(wire::Stream& stream, wire::Refusal refusal, wire::FrameType type) override;
  void on_cancel(wire::Stream& stream, wire::Code code) override;
  void on_writable(wire::Stream& stream) override;
  void on_goaway(const wire::Goaway& goaway) override;

  // CallOwner
  void answer_call(wire::Stream& stream, const wire::Status& status, const wire::Payload& reply,
                   bool server_streams) override;
  wire::SendOutcome send_message(wire::Stream& stream, const wire::Payload& message) override;
  void message_taken(wire::Stream& stream, std::size_t bytes) override;
  void message_kept(wire::Stream& stream, std::size_t bytes) override;
  void note_kept(std::ptrdiff_t cost) override;
  bool trusted() const override { return environment_.trust.trusts(peer_uid_); }
  uid_t peer_uid() const override { return peer_uid_; }

  static std::shared_ptr<OpenCall> call_of(wire::Stream& stream);
  std::vector<std::shared_ptr<OpenCall>> calls();
  std::optional<wire::Status> object_to(const ServedMethod* method, const wire::RequestView& request,
                                        bool remote_open) const;
  void start_call(wire::Stream& stream, std::shared_ptr<ServedMethod> method, const wire::RequestView& request);
  void answer_hello(wire::Stream& stream, std::string_view payload);
  void answer(wire::Stream& stream, const wire::Status& status, const wire::Payload& reply = {});
  void finish_if_last();

  Environment& environment_;
  SessionOwner& owner_;
  wire::Endpoint endpoint_;
  Places calls_;
  wire::Status refusal_;  // OK: calls are taken
  const uid_t peer_uid_;
  const std::uint64_t id_;
  std::size_t kept_ = 0;  // cost of messages that wait for handlers
  bool saw_request_ = false;
};

}  // namespace hostcall::server
