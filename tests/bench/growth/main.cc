// What work costs the daemon against the number of things that it is done to or beside; prints one line of JSON. Usage:
//   bench-growth add DIRECTORY PID COUNT              registers and removes so many VMs
//   bench-growth sessions DIRECTORY PID FIRST COUNT   first sessions of the VMs from this one on
//   bench-growth reload DIRECTORY PID                 reloads, then again while a neighbour pings
//   bench-growth fill DIRECTORY PID KEYS BYTES        writes keys of vm0, with values of so many bytes
//   bench-growth list DIRECTORY PID TIMES             lists the keys of vm0
//   bench-growth snapshot DIRECTORY PID               a watch of all keys begins with a snapshot
//   bench-growth session-end DIRECTORY PID KEYS       a session with so many keys ends
//   bench-growth boot-end DIRECTORY PID KEYS          the same for a boot
//   bench-growth purge DIRECTORY PID KEYS BYTES       a VM with so many keys is removed and purged
//   bench-growth watches DIRECTORY PID COUNT          so many watches end at once
//   bench-growth calls DIRECTORY PID COUNT            so many open calls of one connection end with it
// DIRECTORY and PID are the daemon's, for which vm0 has raised limits.
#include <map>
#include <vector>

#include "tests/bench/growth/works.h"
#include "tests/bench/harness/client.h"
#include "tests/bench/harness/main.h"

namespace hostcall::bench {
namespace {

using Numbers = std::vector<unsigned>;

struct Work {
  std::size_t numbers;
  std::function<void(const Target&, const Numbers&)> run;
};

const std::map<std::string, Work> kWorks = {
    {"add", {1, [](const Target& target, const Numbers& n) { add_vms(target, n[0]); }}},
    {"sessions", {2, [](const Target& target, const Numbers& n) { first_sessions(target, n[0], n[1]); }}},
    {"reload", {0, [](const Target& target, const Numbers&) { reload(target); }}},
    {"fill", {2, [](const Target& target, const Numbers& n) { fill(target, n[0], n[1]); }}},
    {"list", {1, [](const Target& target, const Numbers& n) { list_keys(target, n[0]); }}},
    {"snapshot", {0, [](const Target& target, const Numbers&) { snapshot(target); }}},
    {"session-end", {1, [](const Target& target, const Numbers& n) { end_session(target, n[0]); }}},
    {"boot-end", {1, [](const Target& target, const Numbers& n) { end_boot(target, n[0]); }}},
    {"purge", {2, [](const Target& target, const Numbers& n) { purge(target, n[0], n[1]); }}},
    {"watches", {1, [](const Target& target, const Numbers& n) { close_watches(target, n[0]); }}},
    {"calls", {1, [](const Target& target, const Numbers& n) { close_calls(target, n[0]); }}},
};

void run(const std::vector<std::string>& words) {
  const auto work = words.size() < 3 ? kWorks.end() : kWorks.find(words[0]);
  require(work != kWorks.end() && words.size() == 3 + work->second.numbers,
          "usage: see the head of tests/bench/growth/main.cc");
  Numbers numbers;
  for (std::size_t i = 3; i < words.size(); ++i) numbers.push_back(static_cast<unsigned>(std::stoul(words[i])));
  work->second.run({.directory = words[1], .pid = std::stoi(words[2])}, numbers);
}

}  // namespace
}  // namespace hostcall::bench

int main(int argc, char** argv) { return hostcall::bench::run_with_words(argc, argv, hostcall::bench::run); }
