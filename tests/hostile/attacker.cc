#include "tests/hostile/attacker.h"

#include <poll.h>

#include "proto/wire/frame.h"
#include "tests/hostile/calls.h"

namespace hostcall::test {

Attacker::Attacker(std::string socket_path, const Script& script, int connections, Tally& tally)
    : socket_path_(std::move(socket_path)),
      script_(script),
      connections_(static_cast<std::size_t>(connections)),
      tally_(tally) {}

void Attacker::run(std::chrono::milliseconds time) {
  for (const auto end = Clock::now() + time; Clock::now() < end; receive())
    for (auto& connection : connections_) {
      if (!connection.peer || (script_.comes_back && !connection.peer->is_open())) connect(connection);
      send(connection);
    }
}

void Attacker::connect(Connection& connection) {
  connection = {.peer = std::make_unique<RawPeer>(socket_path_)};
  if (script_.says_hello) {
    connection.peer->queue(hello_call(wire::kAllFeatures & ~wire::kFeatureCrc32c));
    connection.stream = 3;
  }
  connection.peer->queue(script_.opening);
}

void Attacker::send(Connection& connection) {
  const auto now = Clock::now();
  if (script_.burst && !connection.peer->has_unsent() && now >= connection.next_burst) {
    connection.peer->queue(script_.burst(connection.stream));
    connection.next_burst = now + script_.pause;
  }
  connection.peer->flush();
  if (script_.hangs_up && !connection.peer->has_unsent()) connection.peer->hang_up();
}

// Waits a little, so that an attacker who can do nothing leaves the processor to others.
void Attacker::receive() {
  std::vector<pollfd> ready;
  for (const auto& connection : connections_) {
    const auto in = script_.reads ? POLLIN : 0, out = connection.peer->has_unsent() ? POLLOUT : 0;
    ready.push_back({connection.peer->fd(), static_cast<short>(in | out), 0});
  }
  const bool may_send = script_.burst && script_.pause.count() == 0;
  bool blocked = true;
  for (const auto& entry : ready) blocked &= entry.fd < 0 ? !script_.hangs_up : (entry.events & POLLOUT) != 0;
  ::poll(ready.data(), ready.size(), blocked || !(may_send || script_.hangs_up) ? 1 : 0);
  for (std::size_t i = 0; i < ready.size(); ++i) {
    auto& peer = *connections_[i].peer;
    if ((ready[i].revents & (POLLIN | POLLHUP | POLLERR)) == 0) continue;
    if (!script_.reads)
      peer.hang_up();
    else
      peer.receive([&](const wire::Frame& frame) { ++tally_[word_of(frame)]; });
    if (!peer.is_open()) ++tally_[kClosed];
  }
}

}  // namespace hostcall::test
