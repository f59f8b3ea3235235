// SystemdBus: a D-Bus socket behind which systemd says which job of a unit is in progress, and nothing else. Or a bus
// that fails in one of the ways in which buses do.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "proto/base/unique_fd.h"

struct sd_bus;
struct sd_bus_message;

namespace hostcall::test {

enum class BusKind {
  kGood,
  kSilent,     // accepts, and says nothing
  kHalf,       // begins a line of the authentication
  kHelloOnly,  // answers the bus's own calls, and none of systemd's
  kClosing,    // accepts and closes
  kFull,       // its backlog is full
  kNone,       // nobody listens
};

class SystemdBus {
 public:
  SystemdBus(const std::string& path, BusKind kind, std::size_t store_max);
  ~SystemdBus();
  SystemdBus(const SystemdBus&) = delete;
  SystemdBus& operator=(const SystemdBus&) = delete;

  // "restart", "stop", …; empty: no job.
  void set_job(const std::string& type) { job_ = type; }
  // Answers what has come.
  void process();
  // What to wait for.
  std::vector<int> descriptors() const;
  // A call that has come.
  int on_message(sd_bus_message* message);

 private:
  void accept();
  int answer(sd_bus_message* message, const std::string& member);
  int answer_property(sd_bus_message* message);

  BusKind kind_;
  std::size_t store_max_;
  std::string job_;
  UniqueFd listener_;
  std::vector<UniqueFd> others_;  // that make its backlog full, or are connections without D-Bus
  std::vector<sd_bus*> connections_;
};

}  // namespace hostcall::test
