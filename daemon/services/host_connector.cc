#include "daemon/services/host_connector.h"

#include <sys/socket.h>

#include <cerrno>
#include <utility>

#include "proto/base/escape.h"
#include "proto/net/socket.h"

namespace hostcall::daemon {
namespace {

using wire::Code;

// A full backlog says so at once, not when there is room.
constexpr Duration kRetryEvery = milliseconds(20);

// The listener's own process, as of listen(2). Through hostcalld's sockets a VM would get another identity.
bool is_socket_of(pid_t process, int fd) {
  ucred peer{};
  socklen_t size = sizeof peer;
  return ::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 && peer.pid == process;
}

// Who runs as the service's user could have exchanged what the runner passes on.
bool is_stream_socket(int fd) {
  int type = 0;
  socklen_t size = sizeof type;
  return ::getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_STREAM;
}

wire::Status unavailable(const ServiceRecord& service, std::string_view why) {
  return {Code::kUnavailable, "the service " + in_quotes(service.name) + ": " + std::string(why)};
}

Done check_socket(int fd, pid_t own_pid) {
  if (!is_stream_socket(fd)) return Error{0, "what it is connected to is no stream socket"};
  if (is_socket_of(own_pid, fd)) return Error{0, "its socket belongs to hostcalld itself"};
  return done();
}

}  // namespace

// Callers see the error, but shall not learn the path.
Result<UniqueFd> connect_to_host(const std::string& unix_path, pid_t own_pid) {
  auto socket = net::start_connect(net::unix_address(unix_path), milliseconds(0));
  if (!socket.ok())
    return Error{socket.error().code,
                 socket.error().code == EAGAIN ? "the backlog of its socket is full" : "connect to its socket"};
  HOSTCALL_TRY(check_socket(socket->get(), own_pid));
  return socket;
}

HostConnector::HostConnector(const HostCallEnvironment& environment, const ServiceRecord& service, const Caller& caller,
                             ConnectObserver& observer)
    : reactor_(environment.reactor),
      service_(service),
      observer_(observer),
      own_pid_(environment.own_pid),
      timer_(environment.reactor, Callback::to<&HostConnector::try_once>(this)),
      until_(environment.reactor.now() + kLimit) {
  if (service.user.empty() && !service.socket()->unix_path.empty())
    timer_.set(reactor_.now());
  else
    by_runner_ = environment.runner.connect(service, runner_caller_of(caller), *this);
}

// A Unix socket is connected at once or not at all.
void HostConnector::try_once() {
  auto socket = connect_to_host(service_.socket()->unix_path, own_pid_);
  if (socket.ok()) return observer_.on_connected(std::move(socket).value());
  if (socket.error().code == EAGAIN && reactor_.now() < until_) return timer_.set(reactor_.now() + kRetryEvery);
  observer_.on_connect_failed(unavailable(service_, socket.error().message()));
}

void HostConnector::on_connected(UniqueFd socket) {
  if (const auto checked = check_socket(socket.get(), own_pid_); !checked.ok())
    return observer_.on_connect_failed(unavailable(service_, checked.error().message()));
  observer_.on_connected(std::move(socket));
}

}  // namespace hostcall::daemon
