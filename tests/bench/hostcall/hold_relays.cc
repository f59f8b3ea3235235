// Holds idle relays on one connection: opens them, says "ready", and goes on until its input ends.
// Usage: bench-hostcall-hold-relays ADDRESS SERVICE COUNT
#include <hostcall/client.h>
#include <poll.h>
#include <unistd.h>

#include <iostream>
#include <vector>

#include "hostcall/v1/relay.hostcall.h"
#include "tests/bench/harness/main.h"
#include "tests/bench/hostcall/require_ok.h"

namespace hostcall::bench {
namespace {

using Relay = Stream<v1::Relay::Open>;

Relay open_relay(hostcall::Client& client, const std::string& service) {
  auto relay = client.open<v1::Relay::Open>({.timeout = kNoTimeout});
  require_ok(relay.status());
  v1::OpenRequest first;
  first.set_service(service);
  v1::OpenResponse greeting;
  if (!relay->send(first) || !relay->recv(greeting)) require_ok(relay->finish());
  return *std::move(relay);
}

void wait_for_end_of_input(hostcall::Client& client) {
  for (;;) {
    pollfd events[] = {{client.fd(), POLLIN, 0}, {STDIN_FILENO, POLLIN, 0}};
    ::poll(events, std::size(events), -1);
    if (events[1].revents != 0) return;
    client.process();
  }
}

void hold(const std::vector<std::string>& words) {
  require(words.size() == 3, "usage: bench-hostcall-hold-relays ADDRESS SERVICE COUNT");
  auto client = hostcall::Client::make({.address = words[0], .client_name = "bench"});
  require_ok(client.status());
  std::vector<Relay> relays;
  for (auto count = std::stoul(words[2]); count > 0; --count) relays.push_back(open_relay(*client, words[1]));
  std::cout << "ready" << std::endl;
  wait_for_end_of_input(*client);
  v1::OpenResponse response;
  for (auto& relay : relays) require(relay.try_recv(response) == Progress::kWouldBlock, "a relay was lost");
}

}  // namespace
}  // namespace hostcall::bench

int main(int argc, char** argv) { return hostcall::bench::run_with_words(argc, argv, hostcall::bench::hold); }
