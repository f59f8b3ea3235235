#include "daemon/services/host_fd.h"

#include <utility>

namespace hostcall::daemon {

void HostFd::Watch::on_io(std::uint32_t events) {
  if (owner != nullptr) owner->owner_.on_host_io(*owner, events);
}

void HostFd::open(UniqueFd fd) {
  watch_ = std::make_unique<Watch>();
  watch_->owner = this;
  watch_->fd = std::move(fd);
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
