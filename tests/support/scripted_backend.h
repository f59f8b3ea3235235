// ScriptedBackend: the server of a routed service, in the test's own thread. Keeps what it is asked, and answers when
// the test says so, or with raw bytes that no server should send.
#pragma once

#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "proto/base/unique_fd.h"
#include "proto/wire/endpoint.h"

namespace hostcall::test {

class ScriptedBackend {
 public:
  // How it answers Hello.
  enum class Hello : std::uint8_t { kAgree, kRefuse, kMalformed, kBadWindow, kNoFeatures, kNothing };

  // A call. The stream is null once it is over, for whatever reason.
  struct Call {
    std::size_t connection = 0;
    std::uint32_t id = 0;
    wire::Stream* stream = nullptr;
    std::string service, method, payload;
    std::vector<std::pair<std::string, std::string>> metadata;
    std::int64_t timeout_nano = 0;
    bool remote_open = false, said_closed = false;
    std::vector<std::string> messages;
    bool closed = false;     // the caller has sent its last message
    bool cancelled = false;  // by Cancel
  };

  explicit ScriptedBackend(std::string path) : path_(std::move(path)) { listen(); }

  void listen();
  void stop_listening() { listener_.reset(); }
  // The most connections that wait to be accepted.
  void set_backlog(int connections);

  // Accepts, sends and reads what it can. False: nothing happened.
  bool pump();

  // The calls in the order in which they came; Hello is none.
  std::deque<Call> calls;
  Call& last() { return calls.back(); }

  // Each ends or goes on with a call that is open.
  void answer(Call& call, std::string_view payload, const wire::Status& status = {});
  void answer(std::string_view payload, const wire::Status& status = {}) { answer(last(), payload, status); }
  // False: the caller does not take more now.
  bool send(Call& call, std::string_view message);
  bool send(std::string_view message) { return send(last(), message); }
  void close(Call& call);
  // Returns the credit for a message that was kept because of `returns_credit`.
  void consume(Call& call, std::size_t bytes) { connections_[call.connection]->endpoint.consumed(*call.stream, bytes); }

  std::size_t connections() const { return connections_.size(); }  // so far
  std::size_t open_connections() const;
  bool is_open(std::size_t connection) const { return connections_[connection] && connections_[connection]->fd; }
  wire::Endpoint& endpoint(std::size_t connection) { return connections_[connection]->endpoint; }
  void disconnect(std::size_t connection);
  // The daemon can't send on the connection any more, and learns it when it tries.
  void stop_reading(std::size_t connection);
  // Bytes that the engine knows nothing of; as many as the socket takes. Returns their number.
  std::size_t send_raw(std::size_t connection, std::string_view bytes);
  void goaway(std::size_t connection) { endpoint(connection).send_goaway(wire::GoawayReason::kShutdown, 0, "bye"); }

  // How it behaves from now on.
  Hello hello = Hello::kAgree;
  std::uint64_t features = wire::kAllFeatures;
  std::uint32_t stream_window = 64 * 1024, connection_window = 1024 * 1024;
  bool accepts = true;
  bool reads = true;
  bool returns_credit = true;

 private:
  struct Connection final : wire::EndpointEvents {
    Connection(ScriptedBackend& of, std::size_t at, UniqueFd socket)
        : backend(of),
          position(at),
          fd(std::move(socket)),
          endpoint({.role = wire::EndpointOptions::Role::kServer}, *this) {}
    void on_request(wire::Stream& stream, const wire::RequestView& request, bool remote_open) override;
    void on_response(wire::Stream&, const wire::ResponseView&) override {}
    void on_data(wire::Stream& stream, std::string_view data) override;
    void on_remote_closed(wire::Stream& stream) override;
    void on_refused(wire::Stream&, wire::Refusal, wire::FrameType) override {}
    void on_cancel(wire::Stream& stream, wire::Code code) override;
    void on_writable(wire::Stream&) override {}
    void on_goaway(const wire::Goaway&) override {}
    void answer_hello(wire::Stream& stream, const wire::RequestView& request);
    bool send();
    bool receive();
    void close();
    Call& of(wire::Stream& stream) { return *static_cast<Call*>(stream.context); }

    ScriptedBackend& backend;
    const std::size_t position;
    UniqueFd fd;
    wire::Endpoint endpoint;
  };

  const std::string path_;
  UniqueFd listener_;
  std::vector<std::unique_ptr<Connection>> connections_;
};

}  // namespace hostcall::test
