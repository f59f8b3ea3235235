#include "daemon/vms/replacement.h"

namespace hostcall::daemon {

// Before the commit, the record must suit the limits and the VMs to come. After it, what a removed VM had stays taken
// until the end of the replacement, because its listener and its sessions are closed in parts.
std::optional<Registry::Refusal> Registry::Replacement::refuse_new(const VmRecord& record) const {
  using Kind = Refusal::Kind;
  if (const auto fits = check_limits_of(record, defaults); !fits.ok())
    return Refusal{Kind::kInvalid, fits.error().message()};
  const auto free = tables.check_free(record).within(vm_text(record));
  if (free.ok()) return std::nullopt;
  return Refusal{Kind::kTaken, free.error().message() +
                                   (committed ? ", which a reload has removed and not closed yet; try again" : "")};
}

bool Registry::prepare(std::size_t records) {
  try {
    return next_->run(*this, records, {&Registry::copy_run_time, &Registry::take_files, &Registry::find_removed});
  } catch (const ConfigError&) {
    next_.reset();
    throw;
  }
}

bool Registry::copy_run_time(Budget& budget) {
  return next_->each_vm(tables_, budget, [this](const VmRef& vm) {
    if (vm->from_file()) return;
    if (const auto checked = check_limits_of(vm->record, next_->defaults); !checked.ok())
      throw ConfigError(checked.error().message() + "; or remove the VM, which was added at run time");
    if (next_->tables.find(vm->record.name) == nullptr) next_->tables.insert(vm);
  });
}

bool Registry::take_files(Budget& budget) {
  return next_->each_of(next_->records.size(), budget, [this](std::size_t i) { take_file(next_->records[i]); });
}

void Registry::take_file(FileRecord& file) {
  const auto& record = file.record;
  const auto check = [&](Done checked) { require(std::move(checked), file.file, file.line); };
  check(next_->tables.check_free(record).within(vm_text(record)));
  if (file.socket_key.empty()) file.socket_key = next_->own_sockets.keys().key_of(record.unix_path);
  check(next_->own_sockets.check(file.socket_key, record.unix_path).within(vm_text(record)));
  check(check_limits_of(record, next_->defaults));
  auto vm = find(record.name);
  if (vm == nullptr || vm->record != record) {
    vm = make(record, file.place(), next_->defaults, file.socket_key);
    next_->change.added.push_back(vm);
  }
  next_->tables.insert(vm);
}

bool Registry::find_removed(Budget& budget) {
  return next_->each_vm(tables_, budget, [this](const VmRef& vm) {
    if (next_->tables.find(vm->record.name) != vm) next_->change.removed.push_back(vm);
  });
}

// The only part that can fail after prepare(), and the only one that takes one turn, so its work does not grow with the
// VMs that stay.
Registry::Change Registry::commit() {
  if (const auto saved = write_number(); !saved.ok()) {
    next_.reset();
    throw ConfigError("the VM registrations can't be kept: " + saved.error().message());
  }
  std::swap(tables_, next_->tables);
  next_->committed = true;
  defaults_ = next_->defaults;
  for (const auto& vm : next_->change.removed) {
    vm->removed = true;
    next_->unused.push_back(vm->record.name);
  }
  next_->unwritten = next_->change.added;
  note_first_commit();
  return next_->change;
}

// What was remembered of VMs that are gone, and VMs that were not remembered.
void Registry::note_first_commit() {
  for (const auto& [name, entry] : remembered_) next_->unused.push_back(name);
  remembered_.clear();
  for (auto& vm : std::exchange(unwritten_, {})) next_->unwritten.push_back(std::move(vm));
}

bool Registry::settle(std::size_t records) {
  const bool settled = next_->run(*this, records,
                                  {&Registry::set_limits, &Registry::set_origins, &Registry::write_entries,
                                   &Registry::remove_entries, &Registry::drop_old_tables});
  if (settled) next_.reset();
  return settled;
}

bool Registry::set_limits(Budget& budget) {
  return next_->each_vm(tables_, budget, [this](const VmRef& vm) { vm->set_limits(limits_of(vm->record, defaults_)); });
}

bool Registry::set_origins(Budget& budget) {
  return next_->each_of(next_->records.size(), budget, [this](std::size_t i) {
    const auto& file = next_->records[i];
    if (const auto vm = find(file.record.name)) vm->origin = file.place();
  });
}

bool Registry::write_entries(Budget& budget) {
  return next_->each_of(next_->unwritten.size(), budget, [this](std::size_t i) {
    const auto& vm = *next_->unwritten[i];
    if (!vm.removed) note_trouble(write_entry(vm));
  });
}

bool Registry::remove_entries(Budget& budget) {
  return next_->each_of(next_->unused.size(), budget, [this](std::size_t i) {
    const auto& name = next_->unused[i];
    if (find(name) == nullptr) note_trouble(runtime_.remove(name));
  });
}

bool Registry::drop_old_tables(Budget& budget) {
  while (budget.take())
    if (next_->tables.shrink(1)) return true;
  return false;
}

void Registry::note_trouble(const Done& kept) {
  if (!kept.ok() && trouble_.empty()) trouble_ = "VM registrations can't be kept: " + kept.error().message();
}

}  // namespace hostcall::daemon
