// Holds idle connections to a daemon, with heartbeats: connects, says "ready", and goes on until its input ends.
// Usage: bench-hostcall-hold ADDRESS FIRST COUNT VMS: connection I of FIRST to FIRST + COUNT - 1 is to VM I modulo VMS,
// whose number replaces {} in the address.
#include <hostcall/client.h>
#include <sys/epoll.h>

#include <iostream>
#include <vector>

#include "proto/base/unique_fd.h"
#include "tests/bench/harness/client.h"

namespace hostcall::bench {
namespace {

constexpr int kEvents = 256;
constexpr std::uint32_t kInput = UINT32_MAX;

void watch(int epoll, int fd, std::uint32_t mark) {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u32 = mark;
  require(::epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) == 0, "epoll takes no more descriptors");
}

hostcall::Client connect_to(const std::string& address) {
  auto client = hostcall::Client::make({.address = address, .client_name = "bench"});
  require(client.ok(), client.status().message);
  const auto status = client->connect();
  require(status.ok(), status.message);
  return *std::move(client);
}

void hold(const Arguments& address, unsigned first, unsigned count, unsigned vms) {
  const auto epoll = UniqueFd::adopt(::epoll_create1(EPOLL_CLOEXEC));
  std::vector<hostcall::Client> clients;
  for (unsigned i = 0; i < count; ++i) {
    clients.push_back(connect_to(address.address_of((first + i) % vms)));
    watch(epoll.get(), clients.back().fd(), i);
  }
  watch(epoll.get(), STDIN_FILENO, kInput);
  std::cout << "ready" << std::endl;
  for (bool input_open = true; input_open;) {
    epoll_event events[kEvents];
    const int ready = ::epoll_wait(epoll.get(), events, kEvents, -1);
    for (int i = 0; i < ready; ++i)
      if (events[i].data.u32 == kInput)
        input_open = false;
      else
        clients[events[i].data.u32].process();
  }
  for (auto& client : clients) require(client.session().has_value(), "a connection was lost");
}

}  // namespace
}  // namespace hostcall::bench

int main(int argc, char** argv) {
  using namespace hostcall::bench;
  try {
    require(argc == 5, "usage: bench-hostcall-hold ADDRESS FIRST COUNT VMS");
    Arguments arguments;
    arguments.address = argv[1];
    const auto number = [&](int i) { return static_cast<unsigned>(std::stoul(argv[i])); };
    hold(arguments, number(2), number(3), number(4));
  } catch (const std::exception& error) {
    std::cerr << error.what() << '\n';
    return 1;
  }
}
