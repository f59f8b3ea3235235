#include "daemon/runner/connector.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "proto/base/escape.h"
#include "proto/base/standard_fds.h"
#include "proto/net/socket.h"

namespace hostcall::daemon {
namespace {

using wire::Code;
using wire::Status;

// A Unix socket whose backlog is full does not tell when there is room.
constexpr milliseconds kPause{50};

union InternetAddress {
  sockaddr_in6 v6;
  sockaddr_in v4;
  sockaddr any;
};

Result<UniqueFd> start_tcp(const SocketService& service) {
  InternetAddress address{};
  const bool is_v6 = service.tcp_host.find(':') != std::string::npos;
  address.any.sa_family = static_cast<sa_family_t>(is_v6 ? AF_INET6 : AF_INET);
  (is_v6 ? address.v6.sin6_port : address.v4.sin_port) = htons(service.tcp_port);
  void* const host = is_v6 ? static_cast<void*>(&address.v6.sin6_addr) : &address.v4.sin_addr;
  if (::inet_pton(address.any.sa_family, service.tcp_host.c_str(), host) != 1) return Error{EINVAL, "address"};
  auto fd = HOSTCALL_TRY(adopt_above_standard_fds(
      ::socket(address.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), "socket"));
  const int on = 1;
  (void)::setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  const socklen_t length = is_v6 ? sizeof address.v6 : sizeof address.v4;
  if (::connect(fd.get(), &address.any, length) != 0 && errno != EINPROGRESS) return Error::from_errno("connect");
  return fd;
}

Result<UniqueFd> start(const SocketService& service) {
  if (service.unix_path.empty()) return start_tcp(service);
  return net::start_connect(net::unix_address(service.unix_path), kConnectTime);
}

Done finish_connect(int fd) { return net::finish_connect(fd, {}); }

}  // namespace

Connector::Connector(Reactor& reactor, const std::string& service, const SocketService& socket,
                     AttemptObserver& observer)
    : reactor_(reactor),
      service_(service),
      address_(socket),
      observer_(observer),
      deadline_(reactor.now() + kConnectTime) {
  timer_.set(reactor_.now());
}

void Connector::try_now() {
  auto socket = start(address_);
  if (!socket.ok() && socket.error().code == EAGAIN) return timer_.set(std::min(deadline_, reactor_.now() + kPause));
  if (!socket.ok()) return finish(socket.error().code);
  socket_ = std::move(socket).value();
  timer_.set(deadline_);
  if (!reactor_.add(socket_.get(), kWritable, *this).ok()) {
    socket_.reset();
    finish(ENOMEM);
  }
}

void Connector::on_timer() {
  if (reactor_.now() >= deadline_) return finish(ETIMEDOUT);
  try_now();
}

void Connector::on_io(std::uint32_t) {
  if (!socket_) return;
  const auto connected = finish_connect(socket_.get());
  finish(connected.ok() ? 0 : connected.error().code);
}

bool Connector::stop() {
  timer_.cancel();
  if (socket_) reactor_.remove(socket_.get());
  socket_.reset();
  return true;
}

void Connector::finish(int error) {
  timer_.cancel();
  if (socket_) reactor_.remove(socket_.get());
  auto socket = std::move(socket_);
  if (error == 0) return observer_.on_socket(std::move(socket));
  observer_.on_no_socket(
      {Code::kUnavailable, "service " + in_quotes(service_) + " can't be reached: " + std::strerror(error)});
}

}  // namespace hostcall::daemon
