// The administrator of the soak: VMs that come and go, records that change, reloads, sessions that are ended; and what
// he sees when all is over.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>

#include "hostcall/v1/admin.pb.h"
#include "tests/soak/connections.h"
#include "tests/soak/ledger.h"
#include "tests/support/daemon_process.h"

namespace hostcall::test {

class Administrator {
 public:
  Administrator(DaemonProcess& daemon, Random& random) : daemon_(daemon), random_(random) {}

  // One random act.
  void act();
  // Takes away all that it has added and changed.
  void clean_up();
  unsigned acts() const { return acts_; }
  // How often the daemon registered a VM anew because of it.
  unsigned registrations() const { return registrations_; }

  // Fills the store's history, so that it grows no more.
  void fill_history();
  // Each durable key of each VM is as a write that may be the last has left it.
  void expect_nothing_lost(const Ledger& ledger);
  // There are no keys of sessions any more.
  void expect_no_session_keys();
  std::map<std::string, std::uint64_t> counters();
  // Whatever VMs hold that ends with their connections, in words; empty: nothing.
  std::string charges();

 private:
  void add_vm();
  void remove_vm();
  void change_record();
  void reload();
  void close_session();
  void meet(const std::string& vm);
  void write_records(unsigned tagged);
  std::map<std::string, std::string> list(const std::string& prefix);
  template <class Response>
  Response ask(const std::string& method, const google::protobuf::MessageLite& request,
               wire::Code expected = wire::Code::kOk);

  DaemonProcess& daemon_;
  Random& random_;
  std::set<std::string> added_;
  unsigned next_added_ = 0;
  unsigned acts_ = 0, registrations_ = 0;
};

}  // namespace hostcall::test
