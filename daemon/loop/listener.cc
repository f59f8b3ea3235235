#include "daemon/loop/listener.h"

#include <fcntl.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include <utility>

namespace hostcall::daemon {
namespace {

constexpr int kAcceptsPerTurn = 64;

UniqueFd open_spare() { return UniqueFd::adopt(::open("/dev/null", O_RDONLY | O_CLOEXEC)); }

}  // namespace

Listener::Listener(Reactor& reactor, Acceptor& acceptor, UniqueFd fd, net::Address address, bool inherited)
    : reactor_(reactor),
      acceptor_(acceptor),
      fd_(std::move(fd)),
      spare_(open_spare()),
      address_(std::move(address)),
      name_(std::make_shared<const std::string>(address_.to_string())),
      inherited_(inherited) {}

Listener::~Listener() { close(); }

void Listener::close() {
  stop();
  if (!fd_) return;
  fd_.reset();
  if (!inherited_ && address_.family == net::Address::Family::kUnix && !address_.is_abstract())
    ::unlink(address_.path.c_str());
}

Done Listener::start() {
  HOSTCALL_TRY(reactor_.add(fd_.get(), kReadable, *this));
  listening_ = true;
  return done();
}

void Listener::stop() {
  if (std::exchange(listening_, false)) reactor_.remove(fd_.get());
}

void Listener::on_io(std::uint32_t) {
  for (int i = 0; i < kAcceptsPerTurn && listening_; ++i) {
    auto fd = net::accept(fd_.get());
    if (fd.ok()) {
      acceptor_.accepted(std::move(*fd), *this);
      continue;
    }
    const int code = fd.error().code;
    if (code == EAGAIN) return;
    acceptor_.accept_failed(fd.error(), *this);
    if (code == EMFILE || code == ENFILE) shed_one();
    return;
  }
}

// Accepts one peer and closes it at once. Without a free descriptor, the peer would wait and the loop would spin.
void Listener::shed_one() {
  spare_.reset();
  { const auto dropped = net::accept(fd_.get()); }
  spare_ = open_spare();
}

Result<std::vector<InheritedSocket>> inherited_sockets() {
  const int count = sd_listen_fds(1);
  if (count < 0) return Error{-count, "sd_listen_fds"};
  std::vector<InheritedSocket> sockets;
  for (int i = 0; i < count; ++i) {
    auto fd = UniqueFd::adopt(SD_LISTEN_FDS_START + i);
    // systemd passes blocking sockets, but accept() must not wait for a peer that has left.
    if (::fcntl(fd.get(), F_SETFL, O_NONBLOCK) != 0) return Error::from_errno("fcntl of an inherited socket");
    auto address = HOSTCALL_TRY(net::listening_address(fd.get()));
    sockets.push_back({std::move(fd), std::move(address)});
  }
  return sockets;
}

}  // namespace hostcall::daemon
