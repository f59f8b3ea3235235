// One numbered write to a durable key (ledger.h), in a way that bears repetition: its outcome may be unknown, and the
// daemon may yet find it in the socket of a guest that is dead.
#pragma once

#include <cstdint>
#include <string>

#include "tests/soak/connections.h"

namespace hostcall::test {

inline constexpr char kStoreService[] = "hostcall.v1.Store/";

// The key as the guest names it.
std::string durable_key(unsigned vm, unsigned key);

// Parses a reply. Throws Unexpected if it can't be.
template <class Message>
Message parsed(const std::string& bytes) {
  Message message;
  if (!message.ParseFromString(bytes)) throw Unexpected("a message that can't be parsed");
  return message;
}

// Makes the write. True: it is acknowledged. Throws Unexpected if the key was neither as before it nor as after it.
bool write_durably(Connection& connection, unsigned vm, unsigned key, std::uint64_t number);

}  // namespace hostcall::test
