// Services of other servers of the host that are misused: floods of calls that are cancelled, metadata beyond measure,
// replies that nobody reads, and servers that do not read either.
#include <atomic>
#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "proto/net/socket.h"
#include "tests/hostile/bursts.h"
#include "tests/hostile/calls.h"
#include "tests/hostile/flood.h"
#include "tests/support/scripted_backend.h"

namespace hostcall::test {
namespace {

// A server in a thread: answers Echo, sends without end for Flood, and lets all else wait.
class ServerThread {
 public:
  explicit ServerThread(const std::string& path) : server_(path), thread_([this] { run(); }) {}
  ~ServerThread() {
    stopping_ = true;
    thread_.join();
  }

 private:
  void run() {
    while (!stopping_) {
      bool moved = server_.pump();
      for (auto& call : server_.calls) moved |= go_on(call);
      while (!server_.calls.empty() && server_.calls.front().stream == nullptr) server_.calls.pop_front();
      if (!moved) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  }
  bool go_on(ScriptedBackend::Call& call) {
    call.messages.clear();
    if (call.stream == nullptr) return false;
    if (call.method == "Flood") return server_.send(call, message_);
    if (call.method != "Echo") return false;
    server_.answer(call, call.payload);
    return true;
  }

  const std::string message_ = std::string(16 * 1024, 'x');
  ScriptedBackend server_;
  std::atomic<bool> stopping_ = false;
  std::thread thread_;
};

DaemonOptions with_servers() {
  const auto entry = [](const std::string& name, const std::string& socket, const std::string& protocol) {
    return R"({"service": "acme.v1.)" + name + R"(", "ttrpc": "unix:@DIR@/)" + socket + R"(.sock", "protocol": ")" +
           protocol + R"(", "streaming": true, "metadata": ["acme-*"], "concurrent": 1000, "concurrent_per_vm": 300})";
  };
  return {.services_json = "{\"services\": [" + entry("Plain", "plain", "ttrpc") + "," +
                           entry("Shared", "shared", "hostcall") + "," + entry("Deaf", "deaf", "ttrpc") + "," +
                           entry("DeafShared", "deaf", "hostcall") + "]}"};
}
void serve(DaemonProcess& daemon) {
  static std::vector<std::unique_ptr<ServerThread>> servers;
  static UniqueFd deaf;
  servers.clear();
  for (const auto* name : {"plain.sock", "shared.sock"})
    servers.push_back(std::make_unique<ServerThread>(daemon.directory() / name));
  deaf = net::listen(net::unix_address(daemon.directory() / "deaf.sock")).value();
}

std::string routed(std::uint32_t stream, std::string_view service, std::string_view method, std::string_view payload,
                   std::uint8_t flags = 0, std::span<const wire::Metadata> metadata = {}) {
  return request_frame(stream, {.service = service, .method = method, .metadata = metadata}, payload, flags);
}
Burst opens_and_cancels(std::string_view service, std::size_t bytes = 1) {
  return block_of_calls([service, payload = std::string(bytes, 'x')](auto stream) {
    return routed(stream, service, "Wait", payload) + cancel(stream);
  });
}
Burst echoes_with(std::string_view key, std::size_t pairs) {
  return block_of_calls([key, pairs](auto stream) {
    const std::vector<wire::Metadata> metadata(pairs, {key, "x"});
    return routed(stream, "acme.v1.Shared", "Echo", "", 0, metadata);
  });
}
std::string streams_that_flood(std::string_view service) {
  return repeated(100, [service](std::size_t i) {
    return routed(static_cast<std::uint32_t>(2 * i + 3), service, "Flood", "", wire::kRemoteClosed);
  });
}

const Flood kFloods[] = {
    {.name = "OpenAndCancel",
     .script = {.burst = opens_and_cancels("acme.v1.Plain")},
     .must_come = {"OK"},
     .may_come = {"UNAVAILABLE"},
     .connections = 4,
     .prepare = serve,
     .options = with_servers()},
    {.name = "OpenAndCancelOnOneConnection",
     .script = {.burst = opens_and_cancels("acme.v1.Shared")},
     .must_come = {"OK"},
     .connections = 4,
     .prepare = serve,
     .options = with_servers()},
    {.name = "OpenAndCancelWhereNobodyReads",
     .script = {.burst = opens_and_cancels("acme.v1.Deaf", 50'000)},
     .must_come = {"OK"},
     .may_come = {"UNAVAILABLE"},
     .prepare = serve,
     .options = with_servers()},
    {.name = "OpenAndCancelWhereHelloIsNotAnswered",
     .script = {.burst = opens_and_cancels("acme.v1.DeafShared", 50'000)},
     .must_come = {"OK"},
     .may_come = {"UNAVAILABLE"},
     .prepare = serve,
     .options = with_servers()},
    {.name = "MetadataThatIsListed",
     .script = {.burst = echoes_with("acme-a", 10'000)},
     .must_come = {"INVALID_ARGUMENT"},
     .may_come = {"OK"},
     .prepare = serve,
     .options = with_servers()},
    {.name = "MetadataThatIsHostcalls",
     .script = {.burst = echoes_with("hostcall-vm", 10'000)},
     .must_come = {"OK"},
     .prepare = serve,
     .options = with_servers()},
    {.name = "StreamsThatAreNotRead",
     .script = {.opening = streams_that_flood("acme.v1.Plain"), .reads = false},
     .prepare = serve,
     .options = with_servers()},
    {.name = "StreamsOfOneConnectionThatAreNotRead",
     .script = {.opening = streams_that_flood("acme.v1.Shared"), .reads = false},
     .prepare = serve,
     .options = with_servers()},
};
HOSTCALL_FLOODS(Routed, kFloods);

}  // namespace
}  // namespace hostcall::test
