// Listener: one listening socket. Accepts every connection and passes it on. Never pauses, because a full backlog
// stalls the VMM.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
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
  // A descriptor that is released for a moment when the process has no other; all listeners share it.
  virtual UniqueFd& spare_descriptor() = 0;

 protected:
  ~Acceptor() = default;
};

class Listener final : public IoHandler, private Worker {
 public:
  // Takes ownership of the listening socket. `inherited`: systemd passed it, and its socket file stays when we stop.
  // `owner`: the acceptor's number for whom it opened this listener; 0: for nobody in particular.
  Listener(Reactor& reactor, Acceptor& acceptor, UniqueFd fd, net::Address address, bool inherited,
           std::uint64_t owner = 0);
  ~Listener();

  const net::Address& address() const { return address_; }
  // The address as text, shared by all callers of this listener.
  const std::shared_ptr<const std::string>& name() const { return name_; }
  bool inherited() const { return inherited_; }
  std::uint64_t owner() const { return owner_; }
  int descriptor() const { return fd_.get(); }
  // Whether its path still names this socket: somebody may have removed or replaced the file. A socket without a file
  // always has its name.
  bool has_its_file() const;
  // Starts accepting.
  Done start();
  // Stops accepting. Peers wait in the backlog if another process also holds the socket.
  void stop();
  // Closes the socket at once, and removes its file if that is still this socket's.
  void close();

 private:
  void on_io(std::uint32_t events) override;
  void work() override { on_io(kReadable); }
  void shed_one();

  Reactor& reactor_;
  Share share_;  // of the turns, for accepting
  Acceptor& acceptor_;
  UniqueFd fd_;
  const net::Address address_;
  const std::shared_ptr<const std::string> name_;
  const bool inherited_;
  const std::uint64_t owner_;
  const std::optional<net::FileId> file_;  // of the socket's file, if it has one
  bool listening_ = false;
};

// A descriptor to keep for Acceptor::spare_descriptor().
UniqueFd open_spare();

}  // namespace hostcall::daemon
