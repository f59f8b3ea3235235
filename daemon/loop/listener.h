// Listener: one listening socket. Accepts whatever is there and hands it on; never pauses, because a VMM would stall on
// a full backlog. Also takes over the sockets that systemd passes.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "daemon/loop/reactor.h"
#include "proto/net/socket.h"

namespace hostcall::daemon {

class Listener;

class Acceptor {
 public:
  virtual void accepted(UniqueFd fd, const Listener& listener) = 0;
  // accept() failed in a way that the operator must hear of.
  virtual void accept_failed(const Error& error, const Listener& listener) = 0;

 protected:
  ~Acceptor() = default;
};

class Listener final : public IoHandler {
 public:
  // Takes the listening socket. `inherited`: it belongs to systemd, whose socket file stays when we stop.
  Listener(Reactor& reactor, Acceptor& acceptor, UniqueFd fd, net::Address address, bool inherited);
  ~Listener();

  const net::Address& address() const { return address_; }
  // The address as text, shared by all callers that came here.
  const std::shared_ptr<const std::string>& name() const { return name_; }
  bool inherited() const { return inherited_; }
  // Begins to accept.
  Done start();
  // No more accepting; peers wait in the backlog if somebody else holds the socket.
  void stop();
  // Closes the socket and frees its path at once.
  void close();

 private:
  void on_io(std::uint32_t events) override;
  void shed_one();

  Reactor& reactor_;
  Acceptor& acceptor_;
  UniqueFd fd_;
  UniqueFd spare_;  // given up for a moment when the process has no descriptor left
  const net::Address address_;
  const std::shared_ptr<const std::string> name_;
  const bool inherited_;
  bool listening_ = false;
};

// The listening sockets that systemd passed (LISTEN_FDS), each with its address.
// Errors: one that is no listening AF_VSOCK or AF_UNIX stream socket.
struct InheritedSocket {
  UniqueFd fd;
  net::Address address;
};
Result<std::vector<InheritedSocket>> inherited_sockets();

}  // namespace hostcall::daemon
