#include "daemon/calls/reloader.h"

#include <optional>
#include <utility>

namespace hostcall::daemon {
namespace {

// A turn has so many steps of so many VMs, and begins none after this time, so that other work waits for little more.
constexpr int kStepsPerTurn = 8;
constexpr std::size_t kVmsPerStep = 16;
constexpr Duration kSlice = milliseconds(1);
// A reply lists so many, and says how many there are.
constexpr std::size_t kMostWarnings = 20;

// Takes VMs off the end of the list.
template <class Handle>
void take_some(std::vector<VmRef>& vms, Handle handle) {
  for (std::size_t i = 0; i < kVmsPerStep && !vms.empty(); ++i) {
    handle(*vms.back());
    vms.pop_back();
  }
}

}  // namespace

void bound_warnings(std::vector<std::string>& warnings) {
  if (warnings.size() <= kMostWarnings) return;
  const auto more = warnings.size() - kMostWarnings;
  warnings.resize(kMostWarnings);
  warnings.push_back("and " + std::to_string(more) + " more warnings, in the journal");
}

// Filled on the background thread.
struct Reloader::Reading {
  std::optional<Settings> settings;
  std::string error;

  // `known` and `host` hold what is in no file.
  void run(const std::string& config_file, const Config& running, KnownNames known, ServiceHost host) {
    try {
      settings = Settings::read(config_file, &running);
      settings->warn_of_contents(std::move(known), std::move(host));
    } catch (const std::exception& failure) {
      error = failure.what();
    }
  }
};

void Reloader::request(OnReloaded done) {
  again_ = true;
  if (done) later_.push_back(std::move(done));
  if (part_ == Part::kIdle) begin();
}

void Reloader::begin() {
  again_ = false;
  waiting_ = std::exchange(later_, {});
  part_ = Part::kReading;
  target_.reload_begins();
  const auto reading = std::make_shared<Reading>();
  ServiceHost host;
  for (const auto& [name, vm] : registry_.all())
    if (!vm->from_file()) host.add(vm->record);
  background_.run([reading, file = config_file_, running = target_.config(), known = target_.known_names(),
                   host = std::move(host)] { reading->run(file, running, known, host); },
                  [this, reading] { have_read(*reading); });
}

void Reloader::have_read(Reading& reading) {
  if (!reading.settings) return fail(reading.error);
  settings_ = *std::move(reading.settings);
  warnings_ = settings_.kept;
  warnings_.insert(warnings_.end(), settings_.warnings.begin(), settings_.warnings.end());
  registry_.begin_replacement(std::move(settings_.vms), settings_.config.limits);
  part_ = Part::kPreparing;
  reactor_.at_turn_end(*this);
}

void Reloader::on_turn_end() {
  try {
    const auto until = Clock::now() + kSlice;
    for (int i = 0; i < kStepsPerTurn && Clock::now() < until; ++i)
      if (step()) return finish(std::exchange(warnings_, {}));
    reactor_.at_turn_end(*this);
  } catch (const ConfigError& error) {  // only before the commit
    fail(error.what());
  }
}

bool Reloader::step() {
  switch (part_) {
    case Part::kIdle:
    case Part::kReading: return true;
    case Part::kPreparing:
      if (registry_.prepare(kVmsPerStep)) part_ = Part::kReviewing;
      return false;
    case Part::kReviewing:
      if (!target_.is_reviewing()) commit();
      return false;
    case Part::kRemoving:
      take_some(change_.removed, [this](const Vm& vm) { target_.vm_left(vm); });
      if (change_.removed.empty()) part_ = Part::kAdding;
      return false;
    case Part::kAdding:
      take_some(change_.added, [this](Vm& vm) {
        if (!vm.removed) target_.vm_came(vm);
      });
      if (change_.added.empty()) part_ = Part::kSettling;
      return false;
    case Part::kSettling:
      if (registry_.settle(kVmsPerStep)) part_ = Part::kListening;
      return false;
    case Part::kListening: return renew_listeners();
  }
  return true;
}

// From here on nothing fails, so that a reload is never half done.
void Reloader::commit() {
  change_ = registry_.commit();
  target_.take_over(std::exchange(settings_, {}));
  listened_.clear();
  part_ = Part::kRemoving;
}

bool Reloader::renew_listeners() {
  const auto& vms = registry_.all();
  auto next = vms.upper_bound(listened_);
  for (std::size_t i = 0; i < kVmsPerStep && next != vms.end(); ++i, ++next) {
    listened_ = next->first;
    if (auto trouble = target_.renew_listener(*next->second); !trouble.empty()) warnings_.push_back(std::move(trouble));
  }
  if (next != vms.end()) return false;
  if (!registry_.trouble().empty())
    warnings_.push_back(registry_.trouble() + "; after a restart of hostcalld, these VMs count as registered anew");
  bound_warnings(warnings_);
  return true;
}

// Freeing many rules takes long.
void Reloader::fail(const std::string& why) {
  auto unused = std::make_shared<Settings>(std::exchange(settings_, {}));
  background_.run([settings = std::move(unused)]() mutable { settings.reset(); }, [] {});
  finish(Error{0, why});
}

void Reloader::finish(const ReloadOutcome& outcome) {
  part_ = Part::kIdle;
  target_.reload_is_over(outcome);
  for (const auto& done : std::exchange(waiting_, {})) done(outcome);
  if (again_ && part_ == Part::kIdle) begin();
}

}  // namespace hostcall::daemon
