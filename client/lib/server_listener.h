// ListeningSocket: where a server listens: a socket of its own, with its file, or one that systemd has passed.
#pragma once

#include <hostcall/server_options.h>

#include <optional>
#include <string>
#include <vector>

#include "proto/base/result.h"
#include "proto/base/unique_fd.h"
#include "proto/net/socket.h"

namespace hostcall::server {

// The destructor removes the file, if it is still this socket's.
class ListeningSocket {
 public:
  // Binds and listens on a Unix address, with mode and group of the options.
  static Result<ListeningSocket> open(const net::Address& address, const ServerOptions& options);
  // Adopts a socket that was passed to this process. Error: it is no listening Unix stream socket.
  static Result<ListeningSocket> adopt(int fd);

  ListeningSocket(ListeningSocket&&) = default;
  ListeningSocket& operator=(ListeningSocket&&) = delete;
  ~ListeningSocket();

  int fd() const { return fd_.get(); }
  const net::Address& address() const { return address_; }

 private:
  ListeningSocket(UniqueFd fd, net::Address address, std::optional<net::FileId> file)
      : fd_(std::move(fd)), address_(std::move(address)), file_(file) {}

  UniqueFd fd_;
  net::Address address_;
  std::optional<net::FileId> file_;  // ours to remove
};

// The descriptors that systemd has passed to this process ($LISTEN_FDS), which the variables no longer name afterwards.
// Empty: none.
std::vector<int> take_passed_descriptors();

}  // namespace hostcall::server
