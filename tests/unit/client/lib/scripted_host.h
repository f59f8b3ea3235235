// A host that a test scripts: real Unix sockets, the real engine in server role, no threads. A test lets it work by
// serve(); ServerProcess (server_process.h) runs one in a child for blocking calls.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "hostcall/v1/session.pb.h"
#include "proto/base/unique_fd.h"
#include "proto/net/address.h"
#include "proto/wire/endpoint.h"

namespace hostcall::test {

// A call as the host saw it.
struct SeenCall {
  std::uint32_t id = 0;
  std::string service, method, payload;
  std::int64_t timeout_nano = 0;
  wire::Stream* stream = nullptr;  // null after its end
  std::vector<std::string> messages;
  bool closed = false;  // the client sends no more
  std::vector<wire::Code> cancels;
  std::deque<std::string> backlog;  // for scripts: messages that wait for credit
};

class HostConnection;

// What a host does. Called while the engine works; may end the call it is told about.
struct Script {
  // Answer to Hello; a code other than kOk refuses it.
  wire::Status hello;
  v1::HelloResponse agreement;
  bool answer_hello = true;
  std::function<void(HostConnection&, SeenCall&)> on_call;
  std::function<void(HostConnection&, SeenCall&, std::string_view)> on_message;
  std::function<void(HostConnection&, SeenCall&)> on_closed;
  std::function<void(HostConnection&, SeenCall&)> on_writable;
};

class HostConnection final : private wire::EndpointEvents {
 public:
  HostConnection(UniqueFd fd, const Script& script);

  // Receives, answers and sends what is possible now. False: the client has gone.
  bool serve();
  void flush();
  // Sends bytes as they are, past the engine.
  void send_raw(std::string_view bytes);
  void close() { fd_.reset(); }
  bool open() const { return static_cast<bool>(fd_); }
  int fd() const { return fd_.get(); }
  bool has_output() const { return !endpoint_.output().empty(); }

  void respond(SeenCall& call, std::string_view payload) { respond(call, {}, payload); }
  void respond(SeenCall& call, const wire::Status& status, std::string_view payload = {});
  wire::SendOutcome send(SeenCall& call, std::string_view message);
  void close_stream(SeenCall& call);
  void goaway(std::uint32_t retry_after_ms, std::string_view text) {
    endpoint_.send_goaway(wire::GoawayReason::kShutdown, retry_after_ms, text);
  }
  void ping(std::uint64_t token) { endpoint_.send_ping(token); }
  // The newest call of this method, or null.
  SeenCall* find(std::string_view method);

  std::deque<SeenCall> calls;  // in the order of arrival, Hello not among them
  std::optional<v1::HelloRequest> hello;
  std::vector<wire::GoawayReason> goaways;  // that the client sent
  std::size_t writable = 0;                 // times a blocked stream could go on
  std::uint64_t frames() const { return endpoint_.frames_received(); }
  bool pause_reading = false;

 private:
  void on_request(wire::Stream& stream, const wire::RequestView& request, bool remote_open) override;
  void on_response(wire::Stream&, const wire::ResponseView&) override {}
  void on_data(wire::Stream& stream, std::string_view data) override;
  void on_remote_closed(wire::Stream& stream) override;
  void on_refused(wire::Stream&, wire::Refusal, wire::FrameType) override {}
  void on_cancel(wire::Stream& stream, wire::Code code) override;
  void on_writable(wire::Stream& stream) override;
  void on_goaway(const wire::Goaway& goaway) override { goaways.push_back(goaway.reason); }
  void answer_hello(wire::Stream& stream, const wire::RequestView& request);

  UniqueFd fd_;
  const Script& script_;
  wire::Endpoint endpoint_;
};

class ScriptedHost {
 public:
  // Listens on an abstract Unix address of its own.
  explicit ScriptedHost(Script script = {});

  const net::Address& address() const { return address_; }
  // Accepts, and serves every connection.
  void serve();
  void stop_listening() { listener_.reset(); }
  void listen_again();
  // Blocks until a socket is readable, or takes what is to be sent, or `control` is readable: then false.
  bool wait(int control);
  // The newest connection.
  HostConnection& connection() { return *connections.back(); }

  Script script;
  std::vector<std::unique_ptr<HostConnection>> connections;

 private:
  net::Address address_;
  UniqueFd listener_;
};

// An agreement with every feature but CRC.
Script extended_script();
// The same, and every call is answered with "reply to " and its payload.
Script answering_script();

}  // namespace hostcall::test
