// Rig: the daemon's server without its main: real sockets in a directory of its own, a time that the test turns, and
// peers in the same thread. Nothing here sleeps: the reactor turns while something is ready, and then it is the test's
// turn again.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "daemon/calls/server.h"
#include "daemon/loop/background.h"
#include "daemon/vms/events.h"
#include "tests/support/manual_time.h"
#include "tests/support/temp_dir.h"
#include "tests/support/wire_client.h"

namespace hostcall::daemon::test {

using hostcall::test::ManualTime;
using hostcall::test::TempDir;
using hostcall::test::WireClient;

// Keeps what it was told, one line each: "session 7 ended", "web1 booted b2".
class Lifetimes final : public LifetimeObserver {
 public:
  std::vector<std::string> log;
  LifetimeObserver* next = nullptr;  // told the same

  void session_ended(std::uint64_t session_id) override {
    log.push_back("session " + std::to_string(session_id) + " ended");
    if (next != nullptr) next->session_ended(session_id);
  }
  void boot_began(const Vm& vm) override {
    log.push_back(vm.record.name + " booted " + vm.boot_id);
    if (next != nullptr) next->boot_began(vm);
  }
};

// The background thread, as the test's own: a job runs at once, and its end is told at the end of the turn.
class SameThread final : public Background, public TurnEnd {
 public:
  explicit SameThread(Reactor& reactor) : reactor_(reactor) {}
  ~SameThread() override { reactor_.forget(*this); }
  int jobs = 0;  // so far
  void run(std::function<void()> job, std::function<void()> done) override {
    ++jobs;
    job();
    done_.push_back(std::move(done));
    reactor_.at_turn_end(*this);
  }

 private:
  void on_turn_end() override {
    for (const auto& done : std::exchange(done_, {})) done();
  }
  Reactor& reactor_;
  std::vector<std::function<void()>> done_;
};

struct RigOptions {
  std::vector<std::string> vms = {"web1", "db1"};  // each with a socket of its own
  std::string policy = R"({"rules": [{"vms": ["*"], "calls": ["*"], "action": "allow"}]})";
  Limits limits;
  Timeouts timeouts;
};

class Rig {
 public:
  explicit Rig(const RigOptions& options = {});
  ~Rig() { stop(); }

  // Opens the listeners. Methods are registered before.
  void start();
  // Ends the connections that are left. For who has things that must not outlive them; otherwise the Rig does it.
  void stop();
  // Lets the daemon do all it can at this time.
  void settle() { reactor.run_ready(); }
  // Goes on in steps, so that deadlines on the way are met one by one.
  void advance(Duration time, Duration step = milliseconds(50));

  std::string path_of(const std::string& name) const { return directory / (name + ".sock"); }
  // A peer that lets the daemon work whenever it waits.
  std::unique_ptr<WireClient> peer(const std::string& vm);
  std::unique_ptr<WireClient> admin() { return peer("admin"); }
  Vm& vm(const std::string& name) { return *registry.find(name); }
  // Reloads the files.
  ReloadOutcome reload();
  // The records written since the last call, one a line.
  std::string log();
  // Rewrites the files that a reload reads.
  void write_policy(const std::string& text) { directory.write("policy.d/50-test.json", text); }
  void write_vms(const std::string& text) { directory.write("vms.d/50-test.json", text); }
  void write_config(const std::string& members);
  // Replaces the services, as a reload does.
  void use_services(const std::string& text);

  TempDir directory;
  ManualTime time;
  Reactor reactor{time};
  Config config;
  SameThread background{reactor};
  Stats stats;
  Lifetimes lifetimes;
  Router router;

 private:
  struct Pipe {
    Pipe();
    UniqueFd reading, writing;
  };
  Config make_config(const RigOptions& options) const;
  Pipe log_;

 public:
  Events events;
  Journal journal;
  Audit audit;
  Registry registry;
  Access access;
  ServiceCatalog catalog{{}};
  Server server;
};

}  // namespace hostcall::daemon::test
