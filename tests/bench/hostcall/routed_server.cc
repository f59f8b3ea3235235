// A server of the host behind the daemon, by the server library, for both protocols of services.d: echoes.
// Usage: bench-hostcall-routed-server ADDRESS
#include <hostcall/server.h>

#include "tests/bench/harness/main.h"
#include "tests/bench/hostcall/require_ok.h"
#include "tests/bench/hostcall/routed_echo.h"

namespace hostcall::bench {
namespace {

// With ttrpc, each call has one.
constexpr std::size_t kMaxConnections = 128;

void serve(const std::vector<std::string>& words) {
  require(words.size() == 1, "usage: bench-hostcall-routed-server ADDRESS");
  auto server = Server::listen(words[0], {.max_connections = kMaxConnections});
  require_ok(server.status());
  server->serve<RoutedEcho>([](const ServerCall&, const v1::EchoRequest& request, v1::EchoResponse& response) {
    response.set_payload(request.payload());
    return Status{};
  });
  server->run();
}

}  // namespace
}  // namespace hostcall::bench

int main(int argc, char** argv) { return hostcall::bench::run_with_words(argc, argv, hostcall::bench::serve); }
