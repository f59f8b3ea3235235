// The plain copying relay: what relaying costs without frames, identity, policy and limits. Carries one connection
// after the other to the target's socket, with read and write of 64 KiB and poll.
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <iostream>
#include <vector>

#include "proto/net/socket.h"
#include "tests/bench/harness/client.h"
#include "tests/bench/raw/message.h"

namespace hostcall::bench::raw {
namespace {

UniqueFd listen_at(const std::string& address) {
  const auto parsed = net::Address::parse(address);
  require(parsed.ok(), "cannot understand " + address);
  auto listener = net::listen(parsed.value());
  require(listener.ok(), "cannot listen on " + address);
  return std::move(listener).value();
}

UniqueFd connect_to(const std::string& address) {
  const auto parsed = net::Address::parse(address);
  require(parsed.ok(), "cannot understand " + address);
  auto socket = net::start_connect(parsed.value(), seconds(5));
  require(socket.ok(), "cannot connect to " + address);
  wait_for(socket.value().get(), POLLOUT, false);
  require(net::finish_connect(socket.value().get(), parsed.value()).ok(), "cannot connect to " + address);
  return std::move(socket).value();
}

// The bytes from one socket to the other. Neither blocks.
class Direction {
 public:
  Direction(int from, int to) : from_(from), to_(to), buffer_(kBuffer) {}

  bool over() const { return shut_; }
  pollfd event() const {
    const bool writes = begin_ < end_;
    return {.fd = shut_ ? -1 : writes ? to_ : from_, .events = writes ? short{POLLOUT} : short{POLLIN}, .revents = 0};
  }
  // Call it when event() has come.
  void proceed() {
    if (begin_ == end_) read();
    if (begin_ < end_) write();
  }

 private:
  void read() {
    const auto got = ::read(from_, buffer_.data(), buffer_.size());
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
    begin_ = 0;
    end_ = got > 0 ? static_cast<std::size_t>(got) : 0;
    if (got <= 0) shut();
  }
  void write() {
    const auto sent = ::send(to_, buffer_.data() + begin_, end_ - begin_, MSG_NOSIGNAL);
    if (sent >= 0)
      begin_ += static_cast<std::size_t>(sent);
    else if (errno != EAGAIN && errno != EINTR)
      begin_ = end_, shut();
  }
  void shut() {
    ::shutdown(to_, SHUT_WR);
    shut_ = true;
  }

  const int from_, to_;
  std::vector<char> buffer_;
  std::size_t begin_ = 0, end_ = 0;  // of what waits for being written
  bool shut_ = false;
};

void carry(int client, int target) {
  std::array<Direction, 2> directions{Direction(client, target), Direction(target, client)};
  while (!directions[0].over() || !directions[1].over()) {
    std::array<pollfd, 2> events{directions[0].event(), directions[1].event()};
    ::poll(events.data(), events.size(), -1);
    for (std::size_t i = 0; i < events.size(); ++i)
      if (events[i].revents != 0) directions[i].proceed();
  }
}

[[noreturn]] void run(const std::string& address, const std::string& target) {
  const auto listener = listen_at(address);
  for (;;) {
    wait_for(listener.get(), POLLIN, false);
    const auto client = net::accept(listener.get());
    if (client.ok()) carry(client.value().get(), connect_to(target).get());
  }
}

}  // namespace
}  // namespace hostcall::bench::raw

int main(int argc, char** argv) {
  try {
    if (argc != 3) throw std::runtime_error("usage: bench-raw-relay ADDRESS TARGET");
    hostcall::bench::raw::run(argv[1], argv[2]);
  } catch (const std::exception& error) {
    std::cerr << error.what() << '\n';
    return 1;
  }
}
