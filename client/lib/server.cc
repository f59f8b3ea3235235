// The public class Server: makes a Core, and passes on what it is asked.
#include <hostcall/server.h>
#include <sys/eventfd.h>

#include <utility>
#include <vector>

#include "client/lib/server_core.h"
#include "proto/base/standard_fds.h"

namespace hostcall {
inline namespace abi0 {
namespace detail {

struct ServerImpl {
  server::Core core;
};

}  // namespace detail

namespace {

using Impl = std::unique_ptr<detail::ServerImpl>;

Result<Impl> make(std::vector<server::ListeningSocket> sockets, const ServerOptions& options) {
  auto poll = HOSTCALL_TRY(server::Poll::make());
  auto nudge = HOSTCALL_TRY(adopt_above_standard_fds(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), "eventfd"));
  Impl impl(new detail::ServerImpl{{options, std::move(poll), std::move(nudge)}});
  HOSTCALL_TRY(impl->core.start(std::move(sockets)));
  return impl;
}

Result<Impl> listen_at(const net::Address& address, const ServerOptions& options) {
  std::vector<server::ListeningSocket> sockets;
  sockets.push_back(HOSTCALL_TRY(server::ListeningSocket::open(address, options)));
  return make(std::move(sockets), options);
}

Status to_status(Code code, const Error& error) { return {code, error.message(), {}, false}; }

}  // namespace

Reply<Server> Server::listen(const std::string& text, const ServerOptions& options) {
  const auto address = net::Address::parse(text);
  if (!address.ok()) return to_status(Code::kInvalidArgument, address.error());
  if (address->family != net::Address::Family::kUnix)
    return Status{
        Code::kInvalidArgument, text + " is no Unix socket: guests call hostcalld, which calls this one", {}, false};
  auto impl = listen_at(*address, options);
  if (!impl.ok()) return to_status(Code::kUnavailable, impl.error());
  return Server(std::move(*impl));
}

Reply<Server> Server::from_systemd(const ServerOptions& options) {
  std::vector<server::ListeningSocket> sockets;
  std::optional<Error> refused;
  // All are adopted, so that none stays open.
  for (const int fd : server::take_passed_descriptors()) {
    auto socket = server::ListeningSocket::adopt(fd);
    if (!socket.ok())
      refused = socket.error();
    else
      sockets.push_back(std::move(*socket));
  }
  if (refused) return to_status(Code::kInvalidArgument, *refused);
  if (sockets.empty())
    return Status{Code::kFailedPrecondition,
                  "systemd has passed no sockets to this process (LISTEN_FDS): start it with a socket unit, Accept=no",
                  {},
                  false};
  auto impl = make(std::move(sockets), options);
  if (!impl.ok()) return to_status(Code::kUnavailable, impl.error());
  return Server(std::move(*impl));
}

Server::Server(Impl impl) : impl_(std::move(impl)) {}
Server::Server(Server&&) noexcept = default;
Server& Server::operator=(Server&&) noexcept = default;
Server::~Server() = default;

void Server::add(std::shared_ptr<detail::ServedMethod> method) { impl_->core.add(std::move(method)); }

void Server::run() {
  auto& core = impl_->core;
  while (!core.stopped()) core.turn(core.time_left());
}

void Server::stop() { impl_->core.stop(); }
bool Server::stopped() const { return impl_->core.stopped(); }
int Server::fd() const { return impl_->core.fd(); }

std::optional<std::chrono::milliseconds> Server::timeout() const {
  const auto left = impl_->core.time_left();
  return left.count() < 0 ? std::nullopt : std::optional(left);
}

std::chrono::steady_clock::time_point Server::due() const { return impl_->core.due(); }
void Server::process() { impl_->core.turn(milliseconds(0)); }
void Server::post(std::function<void()> function) { impl_->core.post(std::move(function)); }

}  // namespace abi0
}  // namespace hostcall
