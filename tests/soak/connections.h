// A guest's connections in the soak: of all kinds, some idle, some new, some gone without a word.
#pragma once

#include <memory>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

#include "tests/support/wire_client.h"

namespace hostcall::test {

using Random = std::mt19937;

// 0 to count - 1.
inline unsigned any_of(Random& random, unsigned count) {
  return std::uniform_int_distribution<unsigned>(0, count - 1)(random);
}

// A call had an outcome that nothing in the soak explains.
struct Unexpected : std::runtime_error {
  using std::runtime_error::runtime_error;
};

struct Connection {
  std::unique_ptr<WireClient> wire;
  bool said_hello;

  bool is_usable() { return !wire->closed() && wire->endpoint().can_open(); }
  // Makes a unary call; not `arrived` if the connection has ended. Throws Unexpected for a status that is neither OK
  // nor explained by a limit or an end of VM, session or daemon, nor `expected`.
  Answer call(const std::string& method, const google::protobuf::MessageLite& request,
              std::chrono::nanoseconds timeout = {}, wire::Code expected = wire::Code::kOk);
  // Begins a stream; the connection must be usable.
  std::uint32_t open(const std::string& method, const google::protobuf::MessageLite& request, wire::Shape shape);
};

// Throws Unexpected, see Connection::call().
void require_explained(const std::string& method, const Answer& answer, wire::Code expected = wire::Code::kOk);

class Connections {
 public:
  Connections(std::string address, Random& random) : address_(std::move(address)), random_(random) {}

  // One that is usable, a new one if there are few; null: the VM can't connect just now.
  Connection* any();
  // A new one that is no other action's business. No wire: the VM can't connect just now.
  Connection make();
  // Keeps it open without using it, until there are too many of these.
  void leave_alone(Connection connection);
  // Closes one, in the middle of whatever it does.
  void drop_any();
  // A new boot: the next Hello ends the sessions of the old one.
  void reboot() { ++boot_; }

 private:
  std::string address_;
  Random& random_;
  std::vector<Connection> open_, left_alone_;
  unsigned boot_ = 1;
};

}  // namespace hostcall::test
