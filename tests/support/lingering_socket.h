// A TCP socket whose last close() waits for as long as its owner has said, because nobody reads what it has sent; and a
// way to pass it over a Unix socket. What a hostile VMM may do to whoever reads that message or throws it away. It
// waits only while this object lives, which has the other end.
#pragma once

#include <arpa/inet.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <string>
#include <utility>

#include "proto/base/unique_fd.h"

namespace hostcall::test {

class LingeringSocket {
 public:
  explicit LingeringSocket(int linger_seconds) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    auto* any = reinterpret_cast<sockaddr*>(&address);
    socklen_t length = sizeof address;
    check(::bind(listener_.get(), any, length));
    check(::listen(listener_.get(), 1));
    check(::getsockname(listener_.get(), any, &length));
    check(::connect(socket_.get(), any, length));
    peer_ = UniqueFd::adopt(::accept(listener_.get(), nullptr, nullptr));
    const linger wait{.l_onoff = 1, .l_linger = linger_seconds};
    check(::setsockopt(socket_.get(), SOL_SOCKET, SO_LINGER, &wait, sizeof wait));
    const std::string piece(65536, 'x');
    while (::send(socket_.get(), piece.data(), piece.size(), MSG_DONTWAIT) > 0) continue;
  }

  // Sends the byte and the socket, which is then the receiver's alone. Returns errno.
  int pass(int unix_socket, char byte) {
    iovec piece{&byte, 1};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
    msghdr message{};
    message.msg_iov = &piece;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    auto* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    const int fd = socket_.get();
    std::memcpy(CMSG_DATA(header), &fd, sizeof fd);
    const int code = ::sendmsg(unix_socket, &message, MSG_NOSIGNAL) == 1 ? 0 : errno;
    if (code != 0) stop_lingering();
    socket_.reset();
    return code;
  }

 private:
  static void check(int result) {
    if (result != 0) throw std::runtime_error(std::string("a lingering socket: ") + std::strerror(errno));
  }
  static UniqueFd tcp() { return UniqueFd::adopt(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)); }
  void stop_lingering() {
    const linger none{};
    check(::setsockopt(socket_.get(), SOL_SOCKET, SO_LINGER, &none, sizeof none));
  }

  UniqueFd listener_ = tcp(), socket_ = tcp(), peer_;
};

}  // namespace hostcall::test
