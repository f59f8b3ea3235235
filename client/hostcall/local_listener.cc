// LocalListener: see local_listener.h.
#include "client/hostcall/local_listener.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <charconv>
#include <string_view>

#include "proto/base/escape.h"
#include "proto/base/standard_fds.h"

namespace hostcall::cli::guest {
namespace {

constexpr std::string_view kUnix = "unix:";
constexpr std::string_view kV4 = "tcp:127.0.0.1:";
constexpr std::string_view kV6 = "tcp:[::1]:";

union InternetAddress {
  sockaddr_in6 v6;
  sockaddr_in v4;
  sockaddr any;
};

socklen_t to_internet(const LocalAddress& address, InternetAddress& out) {
  out = {};
  if (address.v6) {
    out.v6.sin6_family = AF_INET6;
    out.v6.sin6_addr = in6addr_loopback;
    out.v6.sin6_port = htons(address.port);
    return sizeof out.v6;
  }
  out.v4.sin_family = AF_INET;
  out.v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  out.v4.sin_port = htons(address.port);
  return sizeof out.v4;
}

std::optional<std::uint16_t> parse_port(std::string_view text) {
  std::uint16_t port = 0;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (error != std::errc{} || stop != text.data() + text.size()) return std::nullopt;
  return port;
}

// Whoever could replace the file would get what clients send to us.
Done check_directory_of(const std::string& path) {
  const auto directory = path.substr(0, path.rfind('/') + 1);  // an absolute path has one
  struct stat status {};
  if (::stat(directory.c_str(), &status) != 0) return Error::from_errno(escape(directory));
  const bool is_trusted = status.st_uid == 0 || status.st_uid == ::geteuid();
  const bool is_shared = (status.st_mode & (S_IWGRP | S_IWOTH)) != 0 && (status.st_mode & S_ISVTX) == 0;
  if (is_trusted && !is_shared) return done();
  return Error{0, escape(directory) + ": other users could replace a socket in this directory; use one of your own"};
}

Result<std::uint16_t> port_of(int fd) {
  InternetAddress bound{};
  socklen_t length = sizeof bound;
  if (::getsockname(fd, &bound.any, &length) != 0) return Error::from_errno("getsockname");
  return ntohs(bound.any.sa_family == AF_INET6 ? bound.v6.sin6_port : bound.v4.sin_port);
}

Result<UniqueFd> listen_tcp(const LocalAddress& address) {
  InternetAddress raw;
  const auto length = to_internet(address, raw);
  auto fd = HOSTCALL_TRY(adopt_above_standard_fds(
      ::socket(raw.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), "socket for " + address.to_string()));
  const int on = 1;
  ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (::bind(fd.get(), &raw.any, length) != 0) return Error::from_errno("bind " + address.to_string());
  if (::listen(fd.get(), SOMAXCONN) != 0) return Error::from_errno("listen " + address.to_string());
  return fd;
}

}  // namespace

Result<LocalAddress> LocalAddress::parse(const std::string& text) {
  const std::string_view view = text;
  LocalAddress address;
  if (view.starts_with(kUnix)) {
    const auto path = HOSTCALL_TRY(net::Address::at_path(view.substr(kUnix.size())));
    if (path.is_abstract())
      return Error{0, in_quotes(text) + ": every user can connect to an abstract name; use a path"};
    address.path = path.path;
    return address;
  }
  address.v6 = view.starts_with(kV6);
  const auto port = address.v6              ? parse_port(view.substr(kV6.size()))
                    : view.starts_with(kV4) ? parse_port(view.substr(kV4.size()))
                                            : std::nullopt;
  if (!port) return Error{0, in_quotes(text) + " is none of unix:/path, tcp:127.0.0.1:PORT, tcp:[::1]:PORT"};
  address.port = *port;
  return address;
}

std::string LocalAddress::to_string() const {
  if (!path.empty()) return std::string(kUnix) + path;
  return std::string(v6 ? kV6 : kV4) + std::to_string(port);
}

Result<LocalListener> LocalListener::listen(const LocalAddress& address) {
  if (address.path.empty()) {
    LocalListener listener(address, HOSTCALL_TRY(listen_tcp(address)));
    listener.address_.port = HOSTCALL_TRY(port_of(listener.fd()));
    return listener;
  }
  HOSTCALL_TRY(check_directory_of(address.path));
  const auto unix_address = net::unix_address(address.path);
  LocalListener listener(address, HOSTCALL_TRY(net::listen(unix_address)));
  listener.file_ = net::socket_file(unix_address);
  return listener;
}

LocalListener::~LocalListener() {
  if (fd_ && file_ && net::socket_file(net::unix_address(address_.path)) == file_) ::unlink(address_.path.c_str());
}

}  // namespace hostcall::cli::guest
