// The raw server: epoll, one thread, no checks; what any system on this socket could reach. Modes: "" answers all that
// has come with one write, "single" each message with its own, "spin" serves one connection without ever sleeping.
#include <sys/epoll.h>

#include <iostream>
#include <map>
#include <memory>

#include "proto/net/socket.h"
#include "tests/bench/harness/client.h"
#include "tests/bench/raw/message.h"

namespace hostcall::bench::raw {
namespace {

constexpr int kEvents = 256;

// One connection. Throws when it ends.
class Connection {
 public:
  Connection(UniqueFd fd, bool single, bool spin) : fd_(std::move(fd)), single_(single), spin_(spin) {}

  void on_readable() {
    in_.receive(fd_.get(), spin_);
    const auto all = in_.view();
    auto rest = all;
    while (rest.size() >= kPrefix) {
      const auto taken = take(rest);
      if (taken == 0) break;
      rest.remove_prefix(taken);
    }
    flush();
    in_.take(all.size() - rest.size());
  }

 private:
  // The first message; 0: it is not complete.
  std::size_t take(std::string_view data) {
    const auto size = length_at(data.data());
    if (size == kBulk) return take_bulk(data);
    if (data.size() < kPrefix + size) return 0;
    append_message(out_, data.substr(kPrefix, size));
    if (single_) flush();
    return kPrefix + size;
  }
  std::size_t take_bulk(std::string_view data) {
    Bulk bulk{};
    if (data.size() < kPrefix + sizeof bulk) return 0;
    std::memcpy(&bulk, data.data() + kPrefix, sizeof bulk);
    if (bulk.upload == 0) {
      send_stream(bulk);
      return kPrefix + sizeof bulk;
    }
    take_stream(bulk, data.size() - kPrefix - sizeof bulk);
    return data.size();
  }
  void send_stream(const Bulk& bulk) {
    if (chunk_.size() != bulk.chunk) chunk_ = pattern(bulk.chunk);
    for (std::uint64_t sent = 0; sent < bulk.bytes; sent += bulk.chunk) send_all(fd_.get(), chunk_, spin_);
  }
  // Some of the stream may have come with the request.
  void take_stream(const Bulk& bulk, std::uint64_t got) {
    chunk_.resize(kBuffer);
    while (got < bulk.bytes) got += receive_some(fd_.get(), chunk_.data(), chunk_.size(), spin_);
    out_.append(reinterpret_cast<const char*>(&got), sizeof got);
  }
  void flush() {
    send_all(fd_.get(), out_, spin_);
    out_.clear();
  }

  const UniqueFd fd_;
  const bool single_, spin_;
  Input in_;
  std::string out_, chunk_;
};

class Server {
 public:
  Server(const std::string& address, std::string_view mode)
      : single_(mode == "single"), spin_(mode == "spin"), epoll_(UniqueFd::adopt(::epoll_create1(EPOLL_CLOEXEC))) {
    const auto parsed = net::Address::parse(address);
    require(parsed.ok(), "cannot understand " + address);
    auto listener = net::listen(parsed.value());
    require(listener.ok(), "cannot listen on " + address);
    listener_ = std::move(listener).value();
    watch(listener_.get());
  }

  [[noreturn]] void run() {
    epoll_event events[kEvents];
    for (;;) {
      const int count = ::epoll_wait(epoll_.get(), events, kEvents, -1);
      for (int i = 0; i < count; ++i) serve(events[i].data.fd);
    }
  }

 private:
  void watch(int fd) {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.fd = fd;
    ::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event);
  }
  void serve(int fd) {
    if (fd == listener_.get()) return accept();
    try {
      do connections_.at(fd)->on_readable();
      while (spin_);
    } catch (const std::runtime_error&) {
      connections_.erase(fd);
    }
  }
  void accept() {
    while (auto fd = net::accept(listener_.get())) {
      const int number = fd.value().get();
      connections_[number] = std::make_unique<Connection>(std::move(fd).value(), single_, spin_);
      watch(number);
    }
  }

  const bool single_, spin_;
  UniqueFd epoll_;
  UniqueFd listener_;
  std::map<int, std::unique_ptr<Connection>> connections_;
};

}  // namespace
}  // namespace hostcall::bench::raw

int main(int argc, char** argv) {
  try {
    if (argc < 2) throw std::runtime_error("usage: bench-raw-server ADDRESS [single|spin]");
    hostcall::bench::raw::Server(argv[1], argc > 2 ? argv[2] : "").run();
  } catch (const std::exception& error) {
    std::cerr << error.what() << '\n';
    return 1;
  }
}
