// A service of the server library for a stock ttrpc client: Diagnostics/Echo at once, and after its delay_ms never, so
// that the caller's deadline ends the call. Listens at argv[1]. Started by ../run.sh.
#include <hostcall/server.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <vector>

#include "hostcall/v1/diagnostics.hostcall.h"

using hostcall::v1::Diagnostics::Echo;

static hostcall::Server* running;

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  hostcall::ServerOptions options;
  options.trusted_uids = {::getuid()};
  auto server = hostcall::Server::listen(argv[1], options);
  if (!server.ok()) {
    std::fprintf(stderr, "%s\n", server.status().message.c_str());
    return 1;
  }
  std::vector<hostcall::Responder<Echo>> slow;
  server->serve_later<Echo>([&](const hostcall::Responder<Echo>& responder, const hostcall::v1::EchoRequest& request) {
    if (request.delay_ms() != 0) return slow.push_back(responder);
    hostcall::v1::EchoResponse response;
    response.set_payload(request.payload());
    responder.finish(response);
  });
  running = &*server;
  std::signal(SIGTERM, [](int) { running->stop(); });
  std::puts("serving");
  std::fflush(stdout);
  server->run();
  return 0;
}
