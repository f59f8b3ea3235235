// StoreHost: runs the store's engine on the reactor, journals and tells the state of its disk, and lends its thread to
// others.
#pragma once

#include <optional>
#include <set>
#include <string>

#include "daemon/calls/lifetimes.h"
#include "daemon/loop/background.h"
#include "daemon/loop/journal.h"
#include "daemon/loop/reactor.h"
#include "daemon/store/local_engine.h"
#include "hostcall/v1/admin.pb.h"

namespace hostcall::daemon {

class StoreHost final : public IoHandler, public LifetimeObserver, public Background, private store::EngineOwner {
 public:
  // Opens the store in the directory, which must exist. Throws std::runtime_error if the store is damaged; the text
  // says what to do.
  StoreHost(Reactor& reactor, Journal& journal, const std::string& directory);
  ~StoreHost() { reactor_.remove(engine_.fd()); }

  // Before anybody reads: deletes the keys of earlier sessions, except those with which this daemon goes on.
  void end_old_sessions(const std::set<std::string>& kept) { engine_.end_old_sessions(kept); }
  store::Engine& engine() { return engine_; }
  const v1::StoreCondition& condition() const { return condition_; }

  // LifetimeObserver: deletes the keys that live as long.
  void session_ended(std::uint64_t session_id) override { engine_.end_session(std::to_string(session_id)); }
  void boot_began(const Vm& vm) override { engine_.end_boots(vm.record.name, vm.boot_id); }

  // Background
  void run(std::function<void()> job, std::function<void()> done) override;
  // Whether jobs of run() are not done.
  bool is_busy() const { return jobs_ != 0; }

 private:
  void on_io(std::uint32_t) override { engine_.process(); }
  void on_disk_full(const std::string& what) override;
  void on_no_memory(const std::string& what) override;
  void on_disk_recovered() override;
  void on_disk_failed(const std::string& what) override;
  struct Record {
    Level level;
    MessageId id;
    std::string text;
  };
  void tell(Record record);
  void tell_rest();
  void trouble(Level level, MessageId id, v1::StoreCondition::State state, const std::string& text);

  Reactor& reactor_;
  Journal& journal_;
  std::size_t jobs_ = 0;
  v1::StoreCondition condition_;
  std::optional<Record> untold_;  // the latest, while pause_ lasts
  Timer pause_;
  store::LocalEngine engine_;
};

}  // namespace hostcall::daemon
