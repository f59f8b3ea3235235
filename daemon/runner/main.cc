// hostcall-runner: starts the programs of services.d for hostcalld, which it does not trust.
#include <fcntl.h>
#include <pwd.h>
#include <sys/socket.h>

#include <csignal>
#include <exception>
#include <filesystem>
#include <stdexcept>
#include <string>

#include "daemon/loop/reactor.h"
#include "daemon/runner/bus.h"
#include "daemon/runner/connect_helper.h"
#include "daemon/runner/direct_host.h"
#include "daemon/runner/options.h"
#include "daemon/runner/running.h"
#include "daemon/runner/server.h"
#include "daemon/runner/service_cache.h"
#include "daemon/runner/session.h"
#include "daemon/runner/systemd_host.h"
#include "daemon/runner/tcp_host.h"
#include "proto/base/escape.h"
#include "proto/base/standard_fds.h"
#include "proto/base/try_write.h"
#include "proto/protobuf_log.h"

namespace hostcall::daemon {
namespace {

// Throws if it is no connection of packets.
UniqueFd adopt_connection(int fd) {
  int type = 0;
  socklen_t length = sizeof type;
  if (::getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length) != 0 || type != SOCK_SEQPACKET)
    throw std::runtime_error("descriptor " + std::to_string(fd) + " is not a SOCK_SEQPACKET socket");
  (void)::fcntl(fd, F_SETFL, O_NONBLOCK);
  (void)::fcntl(fd, F_SETFD, FD_CLOEXEC);
  return UniqueFd::adopt(fd);
}

int run_direct(const RunnerOptions& options) {
  Reactor reactor;
  ServiceCache services(options.services);
  DirectHost host(reactor);
  Running running;
  RunnerSession session(reactor, adopt_connection(options.socket_fd), services, host, running,
                        [&reactor](const std::string& why) {
                          if (!why.empty()) try_to_say("hostcall-runner: the connection has ended: " + why + "\n");
                          reactor.stop();
                        });
  for (const int signal : {SIGTERM, SIGINT}) reactor.on_signal(signal, [&session] { session.end(); });
  reactor.run();
  return 0;
}

uid_t uid_of(const std::string& user) {
  const auto* const entry = ::getpwnam(user.c_str());
  if (entry == nullptr) throw std::runtime_error("there is no user " + escape(user));
  return entry->pw_uid;
}

void serve(Reactor& reactor, const RunnerOptions& options, ProgramHost& host) {
  ServiceCache services(options.services);
  RunnerServer server(reactor, inherited_listener(), uid_of(options.user), services, host,
                      [&reactor] { reactor.stop(); });
  for (const int signal : {SIGTERM, SIGINT}) reactor.on_signal(signal, [&server] { server.end(); });
  reactor.run();
}

int run_tcp(const RunnerOptions& options) {
  Reactor reactor;
  TcpHost host(reactor);
  serve(reactor, options, host);
  return 0;
}

// Without D-Bus, nobody knows how the programs end; systemd ends them with this unit.
int run_systemd(const RunnerOptions& options) {
  Reactor reactor;
  std::string lost;
  Bus bus(reactor, [&](const std::string& why) {
    lost = why;
    reactor.stop();
  });
  bus.wait_until_ready();
  SystemdHost host(reactor, bus, std::filesystem::read_symlink("/proc/self/exe").string());
  serve(reactor, options, host);
  if (!lost.empty()) throw std::runtime_error(lost);
  return 0;
}

int run(const RunnerOptions& options) {
  switch (options.way) {
    case RunnerOptions::Way::kDirect: return run_direct(options);
    case RunnerOptions::Way::kTcp: return run_tcp(options);
    case RunnerOptions::Way::kConnect: return run_connect_helper(options.address);
    default: return run_systemd(options);
  }
}

}  // namespace
}  // namespace hostcall::daemon

int main(int argc, char** argv) {
  using namespace hostcall::daemon;
  hostcall::open_standard_fds();
  hostcall::quiet_protobuf();
  ::signal(SIGPIPE, SIG_IGN);
  RunnerOptions options;
  if (const auto code = parse_runner_options(argc, argv, options)) return *code;
  try {
    return run(options);
  } catch (const std::exception& error) {
    hostcall::try_to_say("hostcall-runner: " + std::string(error.what()) + "\n");
    return 1;
  }
}
