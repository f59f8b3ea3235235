// LocalListener: the socket at which programs of this machine connect: a Unix socket for its user alone, or a TCP port
// of the loopback interface.
#pragma once

#include <optional>
#include <string>

#include "proto/base/result.h"
#include "proto/base/unique_fd.h"
#include "proto/net/socket.h"

namespace hostcall::cli::guest {

// "unix:/path", "tcp:127.0.0.1:PORT" or "tcp:[::1]:PORT". Port 0: the kernel chooses one.
struct LocalAddress {
  std::string path;  // of a Unix socket; empty: TCP
  bool v6 = false;
  std::uint16_t port = 0;

  static Result<LocalAddress> parse(const std::string& text);
  std::string to_string() const;
};

class LocalListener {
 public:
  // Listens. A Unix socket's file has mode 0600, in a directory where nobody else can replace it; a stale one is
  // replaced if nobody listens there. Error: ready to be shown.
  static Result<LocalListener> listen(const LocalAddress& address);
  LocalListener(LocalListener&&) = default;
  LocalListener& operator=(LocalListener&&) = delete;
  // Removes the Unix socket's file, unless another one has its name by now.
  ~LocalListener();

  int fd() const { return fd_.get(); }
  // With the port that the kernel has chosen.
  const LocalAddress& address() const { return address_; }

 private:
  LocalListener(LocalAddress address, UniqueFd fd) : address_(std::move(address)), fd_(std::move(fd)) {}

  LocalAddress address_;
  UniqueFd fd_;
  std::optional<net::FileId> file_;
};

}  // namespace hostcall::cli::guest
