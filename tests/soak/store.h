// A guest's use of the store in the soak. Only this guest writes its VM's durable keys, through the ledger; keys with
// shorter lives it only writes.
#pragma once

#include <array>
#include <optional>

#include "hostcall/v1/store.pb.h"
#include "tests/soak/connections.h"
#include "tests/soak/ledger.h"

namespace hostcall::test {

// Each function: false if the connection ended, a limit was reached, or there is none. Throws Unexpected for what must
// not be.
class SoakStore {
 public:
  SoakStore(Ledger& ledger, unsigned vm, Connections& connections, Random& random)
      : ledger_(ledger), vm_(vm), connections_(connections), random_(random) {}

  // Writes the next state of a durable key, or repeats the write whose outcome is unknown.
  bool write(Connection& connection);
  bool get(Connection& connection);
  // Lists all durable keys, in pages.
  bool list(Connection& connection);
  bool put_for_session(Connection& connection);
  bool put_for_boot(Connection& connection);
  // Reads what has arrived of the watch of the durable keys; first opens or resumes it.
  bool watch();
  // Ends the watch by its connection's end; it will be resumed.
  bool leave_watch();

 private:
  bool open_watch();
  void take(const v1::WatchResponse& message);
  void take(const v1::Item& item);
  void end_watch();
  bool put(Connection& connection, const char* folder, v1::Lifetime lifetime);
  void check(unsigned key, const KeyCheck& check, const std::optional<std::string>& value) const;

  Ledger& ledger_;
  unsigned vm_;
  Connections& connections_;
  Random& random_;
  Connection watching_{};                        // no wire: not open
  std::uint32_t stream_ = 0;                     // of the watch
  std::int64_t revision_ = 0;                    // up to which it has seen all changes; 0: begin with a snapshot
  std::array<std::uint64_t, kSoakKeys> seen_{};  // the newest write of each key that it has shown
};

}  // namespace hostcall::test
