#include "client/lib/server_acceptor.h"

#include <cerrno>
#include <utility>

namespace hostcall::server {
namespace {

constexpr int kAcceptedPerTurn = 16;
// How long to leave a connection waiting that the process has no descriptor or memory for.
constexpr Duration kPause = milliseconds(100);

}  // namespace

Acceptor::Acceptor(Environment& environment, const Poll& poll, ListeningSocket socket, Accepted accepted)
    : environment_(environment),
      poll_(poll),
      socket_(std::move(socket)),
      accepted_(std::move(accepted)),
      again_(environment.timers, [this] { poll_.change(socket_.fd(), kReadable, *this); }) {}

void Acceptor::on_ready(std::uint32_t) {
  for (int left = kAcceptedPerTurn; left != 0 && accept_one(); --left) continue;
}

// False: none waits, or none can be taken now.
bool Acceptor::accept_one() {
  auto fd = net::accept(socket_.fd());
  if (!fd.ok()) {
    if (fd.error().code == EAGAIN) return false;
    environment_.report({}, socket_.address().to_string() + ": " + fd.error().message());
    poll_.change(socket_.fd(), 0, *this);
    again_.set(environment_.now() + kPause);
    return false;
  }
  // The peer may be gone already.
  if (const auto peer = net::peer_of(fd->get()); peer.ok()) accepted_(std::move(*fd), *peer);
  return true;
}

}  // namespace hostcall::server
