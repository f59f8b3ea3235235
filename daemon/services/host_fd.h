// HostFd: a descriptor of the host that an open call uses: a connected socket, or a pipe of a program. The reactor
// watches it only while its owner wants to read or write, because the kernel always reports a hang-up.
#pragma once

#include <sys/types.h>

#include <memory>
#include <span>
#include <string_view>

#include "daemon/loop/reactor.h"

namespace hostcall::daemon {

class HostFd;

class HostFdOwner {
 public:
  // May close the descriptor, and destroy it.
  virtual void on_host_io(HostFd& fd, std::uint32_t events) = 0;

 protected:
  ~HostFdOwner() = default;
};

class HostFd {
 public:
  enum class Kind : bool { kPipe, kSocket };
  // Both must outlive this.
  HostFd(Reactor& reactor, HostFdOwner& owner) : reactor_(reactor), owner_(owner) {}
  ~HostFd() { close(); }
  HostFd(const HostFd&) = delete;
  HostFd& operator=(const HostFd&) = delete;

  // Takes ownership of a non-blocking descriptor. Only once, and after a close().
  void open(UniqueFd fd, Kind kind);
  bool is_open() const { return watch_ != nullptr; }
  // Only if it is open.
  int get() const { return watch_->fd.get(); }
  // As read(2) and write(2), but a socket never blocks, whatever somebody who shares it has made of its flags (a pipe's
  // end is ours alone), and raises no SIGPIPE.
  ssize_t read(std::span<char> room) const;
  ssize_t write(std::string_view bytes) const;
  // What to watch for; a hang-up comes with each of them. Fails if the kernel can't watch it.
  Done want(bool reading, bool writing, bool hang_up = false);
  void close();

 private:
  // Outlives this by a turn, because the reactor may still have events for it.
  struct Watch final : IoHandler {
    void on_io(std::uint32_t events) override;
    HostFd* owner = nullptr;  // null: closed
    UniqueFd fd;
    Kind kind{};
    std::uint32_t interest = 0;  // 0: not watched
  };

  Reactor& reactor_;
  HostFdOwner& owner_;
  std::unique_ptr<Watch> watch_;
};

}  // namespace hostcall::daemon
