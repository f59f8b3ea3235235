#include "daemon/services/host_fd.h"

#include <sys/socket.h>
#include <unistd.h>

#include <utility>

namespace hostcall::daemon {

void HostFd::Watch::on_io(std::uint32_t events) {
  if (owner != nullptr) owner->owner_.on_host_io(*owner, events);
}

void HostFd::open(UniqueFd fd, Kind kind) {
  watch_ = std::make_unique<Watch>();
  watch_->owner = this;
  watch_->fd = std::move(fd);
  watch_->kind = kind;
}

ssize_t HostFd::read(std::span<char> room) const {
  return watch_->kind == Kind::kSocket ? ::recv(get(), room.data(), room.size(), MSG_DONTWAIT)
                                       : ::read(get(), room.data(), room.size());
}

ssize_t HostFd::write(std::string_view bytes) const {
  return watch_->kind == Kind::kSocket ? ::send(get(), bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT)
                                       : ::write(get(), bytes.data(), bytes.size());
}

Done HostFd::want(bool reading, bool writing, bool hang_up) {
  if (!watch_) return done();
  const auto interest = (reading ? kReadable : 0) | (writing ? kWritable : 0) | (hang_up ? kError : 0);
  const auto before = std::exchange(watch_->interest, interest);
  if (interest == before) return done();
  if (before == 0) {
    auto added = reactor_.add(get(), interest, *watch_);
    if (!added.ok()) watch_->interest = 0;
    return added;
  }
  if (interest == 0)
    reactor_.remove(get());
  else
    reactor_.change(get(), interest, *watch_);
  return done();
}

void HostFd::close() {
  if (!watch_) return;
  if (watch_->interest != 0) reactor_.remove(get());
  watch_->owner = nullptr;
  watch_->fd = {};
  reactor_.retire(std::exchange(watch_, nullptr));
}

}  // namespace hostcall::daemon
