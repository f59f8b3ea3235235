// A Server of the library with a time that the test turns, and callers in the same thread: waiting for an answer runs
// the server, and what has not arrived then never will.
#pragma once

#include <gtest/gtest.h>
#include <hostcall/server.h>
#include <unistd.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "hostcall/v1/diagnostics.hostcall.h"
#include "tests/support/manual_time.h"
#include "tests/support/temp_dir.h"
#include "tests/support/wire_client.h"

namespace hostcall::test {

using v1::Diagnostics::Echo;
using v1::Diagnostics::EchoStream;
using v1::Diagnostics::Sink;
using v1::Diagnostics::Source;

class ServerRig {
 public:
  ServerRig() {
    options.trusted_uids = {::geteuid()};
    options.clock = [this] { return time.now(); };
    options.on_error = [this](const ServerError& error) { errors.push_back(error.method + "|" + error.text); };
  }

  void start() {
    auto made = Server::listen(address, options);
    if (!made.ok()) throw std::runtime_error(made.status().message);
    server.emplace(*std::move(made));
  }
  // Until nothing is on its way; local sockets deliver at once.
  void pump() {
    for (int round = 0; round < 8 && server; ++round) server->process();
  }
  std::unique_ptr<WireClient> connect() {
    return std::make_unique<WireClient>(address, [this] { pump(); });
  }
  // After Hello.
  std::unique_ptr<WireClient> connect_extended() {
    auto client = connect();
    client->hello();
    return client;
  }
  void advance(Duration duration) {
    time.advance(duration);
    pump();
  }
  // Answers with the request's payload.
  void serve_echo() {
    server->serve<Echo>([](const ServerCall&, const v1::EchoRequest& request, v1::EchoResponse& response) {
      response.set_payload(request.payload());
      return Status{};
    });
  }

  ManualTime time;
  TempDir dir;
  const std::string path = dir / "s.sock";
  std::string address = "unix:" + path;
  ServerOptions options;
  std::vector<std::string> errors;
  std::optional<Server> server;
};

// Both kinds of connection.
class BothProtocols : public testing::TestWithParam<bool>, protected ServerRig {
 protected:
  std::unique_ptr<WireClient> caller() { return GetParam() ? connect_extended() : connect(); }
};
inline std::string protocol_name(const testing::TestParamInfo<bool>& info) { return info.param ? "extended" : "base"; }

inline v1::EchoRequest echo_request(const std::string& payload) {
  v1::EchoRequest request;
  request.set_payload(payload);
  return request;
}

inline std::string echoed(const std::string& bytes) {
  v1::EchoResponse response;
  return response.ParseFromString(bytes) ? response.payload() : "not an EchoResponse";
}

inline v1::Chunk chunk(std::string data) {
  v1::Chunk message;
  message.set_data(std::move(data));
  return message;
}

}  // namespace hostcall::test
