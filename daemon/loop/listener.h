// Listener: one listening socket. Accepts every connection and passes it on. Never pauses, because a full backlog
// stalls the VMM. Also adopts the sockets that systemd passes.
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
  // accept() failed in a way that the operator must know about.
  virtual void accept_failed(const Error& error, const Listener& listener) = 0;

 protected:
  ~Acceptor() = default;
};

class Listener final : public IoHandler {
 public:
  // Takes ownership of the listening socket. `inherited`: systemd passed it, and its socket file stays when we stop.
  Listener(Reactor& reactor, Acceptor& acceptor, UniqueFd fd, net::Address address, bool inherited);
  ~Listener();

  const net::Address& address() const { return address_; }
  // The address as text, shared by all callers of this listener.
  const std::shared_ptr<const std::string>& name() const { return name_; }
  bool inherited() const { return inherited_; }
  // Starts accepting.
  Done start();
  // Stops accepting. Peers wait in the backlog if another process also holds the socket.
  void stop();
  // Closes the socket and removes its path at once.
  void close();

 private:
  void on_io(std::uint32_t events) override;
  void shed_one();

  Reactor& reactor_;
  Acceptor& acceptor_;
  UniqueFd fd_;
  UniqueFd spare_;  // released for a moment when the process is out of descriptors
  const net::Address address_;
  const std::shared_ptr<const std::string> name_;
  const bool inherited_;
  bool listening_ = false;
};

// The listening sockets that systemd passed (LISTEN_FDS), with their addresses. An error if one is not a listening
// AF_VSOCK or AF_UNIX stream socket.
struct InheritedSocket {
  UniqueFd fd;
  net::Address address;
};
Result<std::vector<InheritedSocket>> inherited_sockets();

}  // namespace hostcall::daemon
