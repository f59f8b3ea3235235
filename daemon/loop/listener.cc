#include "daemon/loop/listener.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <utility>

namespace hostcall::daemon {
namespace {

// What it costs to accept, identify and admit or refuse a peer.
constexpr Units kAcceptUnits = 20;

}  // namespace

UniqueFd open_spare() { return UniqueFd::adopt(::open("/dev/null", O_RDONLY | O_CLOEXEC)); }

Listener::Listener(Reactor& reactor, Acceptor& acceptor, UniqueFd fd, net::Address address, bool inherited,
                   std::uint64_t owner)
    : reactor_(reactor),
      acceptor_(acceptor),
      fd_(std::move(fd)),
      address_(std::move(address)),
      name_(std::make_shared<const std::string>(address_.to_string())),
      inherited_(inherited),
      owner_(owner),
      file_(net::socket_file(address_)) {}

Listener::~Listener() { close(); }

void Listener::close() {
  stop();
  if (!fd_) return;
  fd_.reset();
  if (!inherited_ && file_ && has_its_file()) ::unlink(address_.path.c_str());
}

bool Listener::has_its_file() const {
  const bool needs_file = address_.family == net::Address::Family::kUnix && !address_.is_abstract();
  return !needs_file || (file_ && net::socket_file(address_) == file_);
}

Done Listener::start() {
  HOSTCALL_TRY(reactor_.add(fd_.get(), kReadable, *this));
  listening_ = true;
  return done();
}

void Listener::stop() {
  stop_waiting();
  if (std::exchange(listening_, false)) reactor_.remove(fd_.get());
}

// Those whose backlogs are full take turns with the others, however many they are.
void Listener::on_io(std::uint32_t) {
  auto& work = reactor_.work();
  while (listening_ && !is_waiting()) {
    if (!work.may_work(share_)) return work.wait(share_, *this);
    auto fd = net::accept(fd_.get());
    if (fd.ok()) {
      work.spend(share_, kAcceptUnits);
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
  auto& spare = acceptor_.spare_descriptor();
  spare.reset();
  { const auto dropped = net::accept(fd_.get()); }
  spare = open_spare();
}

}  // namespace hostcall::daemon
