// A VM's guest in the soak: each act() is one random thing that guests do, from a ping to half a frame. What it must
// see is checked at once: SoakStore has the store's part.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "tests/soak/connections.h"
#include "tests/soak/ledger.h"
#include "tests/soak/store.h"

namespace hostcall::test {

class Guest {
 public:
  struct Action {
    const char* name;
    unsigned weight;
    // False: the VM can't connect just now, or the connection ended.
    bool (Guest::*act)();
  };
  static const std::vector<Action>& actions();

  Guest(Ledger& ledger, unsigned vm, const std::string& address, Random& random);

  // Throws Unexpected.
  void act();
  // Tries each action until it has been done.
  void do_everything_once();

 private:
  bool do_action(std::size_t number);
  bool calls(const char* method);
  bool ping();
  bool whoami() { return calls("hostcall.v1.Session/WhoAmI"); }
  bool services() { return calls("hostcall.v1.Session/ListServices"); }
  bool info() { return calls("hostcall.v1.Host/Info"); }
  bool metrics() { return calls("hostcall.v1.Host/Metrics"); }
  bool echo();
  bool deadline();
  bool abandon();
  bool source();
  bool sink();
  bool echo_stream();
  bool idle();
  bool drop();
  bool half_frame();
  bool reboot();
  bool write() { return with_any(&SoakStore::write); }
  bool get() { return with_any(&SoakStore::get); }
  bool list() { return with_any(&SoakStore::list); }
  bool put_for_session() { return with_any(&SoakStore::put_for_session); }
  bool put_for_boot() { return with_any(&SoakStore::put_for_boot); }
  bool watch() { return store_.watch(); }
  bool leave_watch() { return store_.leave_watch(); }
  bool with_any(bool (SoakStore::*act)(Connection&));
  // Ends a stream in one of the ways that guests have.
  void leave(Connection& connection, std::uint32_t stream);
  bool chance(unsigned of) { return any_of(random_, of) == 0; }

  Ledger& ledger_;
  Random& random_;
  Connections connections_;
  SoakStore store_;
};

}  // namespace hostcall::test
