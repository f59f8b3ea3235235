// Acceptor: takes the connections that wait on a listening socket.
#pragma once

#include <functional>

#include "client/lib/server_environment.h"
#include "client/lib/server_listener.h"
#include "client/lib/server_poll.h"

namespace hostcall::server {

class Acceptor final : public Watcher {
 public:
  // Runs for each accepted connection.
  using Accepted = std::function<void(UniqueFd, const net::Peer&)>;

  Acceptor(Environment& environment, const Poll& poll, ListeningSocket socket, Accepted accepted);
  ~Acceptor() { poll_.remove(socket_.fd()); }
  Done start() { return poll_.add(socket_.fd(), kReadable, *this); }

 private:
  void on_ready(std::uint32_t events) override;
  bool accept_one();

  Environment& environment_;
  const Poll& poll_;
  ListeningSocket socket_;
  Accepted accepted_;
  Timer again_;
};

}  // namespace hostcall::server
