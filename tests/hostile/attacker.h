// Attacker: a hostile VM that follows a script on one or many connections, as fast as the daemon lets it.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "tests/hostile/raw_peer.h"

namespace hostcall::test {

// What each connection does.
struct Script {
  bool says_hello = true;    // with all features but checksums; otherwise it is a plain ttrpc client
  std::string opening = {};  // sent once
  // The bytes to send next, again and again; `stream` is the next number for a call. Null: none.
  std::function<std::string(std::uint32_t& stream)> burst = {};
  bool reads = true;
  bool comes_back = true;              // replaces a connection that the daemon has closed
  bool hangs_up = false;               // closes each connection as soon as the opening is sent
  std::chrono::milliseconds pause{0};  // between bursts
};

// What came from the daemon, by word_of(), and how often.
using Tally = std::map<std::string, std::uint64_t>;

class Attacker {
 public:
  // Adds what comes from the daemon to `tally`.
  Attacker(std::string socket_path, const Script& script, int connections, Tally& tally);

  // Follows the script for so long.
  void run(std::chrono::milliseconds time);

 private:
  using Clock = std::chrono::steady_clock;
  struct Connection {
    std::unique_ptr<RawPeer> peer;
    std::uint32_t stream = 1;
    Clock::time_point next_burst{};
  };

  void connect(Connection& connection);
  void send(Connection& connection);
  void receive();

  const std::string socket_path_;
  const Script& script_;
  std::vector<Connection> connections_;
  Tally& tally_;
};

}  // namespace hostcall::test
