// Reloader: reads all files on the background thread, and puts them in force in parts, so that no turn is long. One
// reload runs at a time; those that are asked for meanwhile are one more reload after it.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "daemon/loop/background.h"
#include "daemon/loop/reactor.h"
#include "daemon/vms/settings.h"

namespace hostcall::daemon {

// What the operator should know about a reload that has succeeded; or why nothing has changed.
using ReloadOutcome = Result<std::vector<std::string>>;
// Leaves at most 20, and says how many more there were.
void bound_warnings(std::vector<std::string>& warnings);
using OnReloaded = std::function<void(const ReloadOutcome&)>;

// What changes with the settings, besides the registry.
class ReloadTarget {
 public:
  virtual void reload_begins() = 0;
  // The configuration in force.
  virtual const Config& config() const = 0;
  // The methods, and the VMs that are in no file.
  virtual KnownNames known_names() const = 0;
  // Whether calls are still decided again by the policy in force. Another one has to wait for the end of that.
  virtual bool is_reviewing() const = 0;
  // The registry has the new VMs: puts the rest in force.
  virtual void take_over(Settings settings) = 0;
  virtual void vm_left(const Vm& vm) = 0;
  virtual void vm_came(Vm& vm) = 0;
  // Opens the VM's listener again if it is not there; returns why that can't be done, or nothing.
  virtual std::string renew_listener(Vm& vm) = 0;
  virtual void reload_is_over(const ReloadOutcome& outcome) = 0;

 protected:
  ~ReloadTarget() = default;
};

class Reloader final : public TurnEnd {
 public:
  Reloader(Reactor& reactor, Background& background, Registry& registry, ReloadTarget& target, std::string config_file)
      : reactor_(reactor),
        background_(background),
        registry_(registry),
        target_(target),
        config_file_(std::move(config_file)) {}
  ~Reloader() override { reactor_.forget(*this); }

  // Reloads; what the files hold at this time or later will be in force. `done` (may be empty) is called once, never
  // from within this.
  void request(OnReloaded done);

 private:
  struct Reading;
  enum class Part { kIdle, kReading, kPreparing, kReviewing, kRemoving, kAdding, kSettling, kListening };

  void begin();
  void have_read(Reading& reading);
  void on_turn_end() override;
  // Some work of this part; true: the reload is over.
  bool step();
  void commit();
  bool renew_listeners();
  void fail(const std::string& why);
  void finish(const ReloadOutcome& outcome);

  Reactor& reactor_;
  Background& background_;
  Registry& registry_;
  ReloadTarget& target_;
  const std::string config_file_;
  Part part_ = Part::kIdle;
  Settings settings_;
  Registry::Change change_;
  std::vector<std::string> warnings_;
  std::string listened_;             // the name of the VM whose listener was looked at last
  std::vector<OnReloaded> waiting_;  // for this reload
  std::vector<OnReloaded> later_;    // for the next one
  bool again_ = false;               // there is to be a next one
};

}  // namespace hostcall::daemon
