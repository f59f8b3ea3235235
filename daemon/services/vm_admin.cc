#include "daemon/services/vm_admin.h"

#include <algorithm>
#include <optional>
#include <set>

#include "daemon/services/limit_messages.h"
#include "daemon/store/key.h"
#include "daemon/vms/vm_directory.h"
#include "proto/base/escape.h"

namespace hostcall::daemon {
namespace {

// Small enough for one turn; a full page of the largest records fits into one message.
constexpr std::size_t kMostPerPage = 256;

VmRecord record_of(const v1::VmRecord& message) {
  VmRecord record;
  record.name = message.name();
  record.uuid = message.uuid();
  record.tags.assign(message.tags().begin(), message.tags().end());
  record.cid = message.cid();
  record.unix_path = message.unix_path();
  if (message.has_vmm_uid()) record.vmm_uid = message.vmm_uid();
  for (const auto& limit : message.limits()) record.limits[limit.name()] = limit.value();
  return record;
}

// A map keeps only one of them.
template <class Message>
Status check_limits_differ(const Message& message) {
  std::set<std::string_view> names;
  for (const auto& limit : message.limits())
    if (!names.insert(limit.name()).second)
      return {Code::kInvalidArgument,
              "VM " + in_quotes(message.name()) + ": limit " + in_quotes(limit.name()) + " is given twice"};
  return {};
}

void fill_record(const VmRecord& record, v1::VmRecord& message) {
  message.set_name(record.name);
  message.set_uuid(record.uuid);
  for (const auto& tag : record.tags) message.add_tags(tag);
  message.set_cid(record.cid);
  message.set_unix_path(record.unix_path);
  message.set_has_vmm_uid(record.vmm_uid.has_value());
  message.set_vmm_uid(record.vmm_uid.value_or(0));
  for (const auto& [name, value] : record.limits) {
    auto& limit = *message.add_limits();
    limit.set_name(name);
    limit.set_value(value);
  }
}

void fill_rates(const Rates& rates, v1::VmState& state) {
  state.set_calls_per_second(rates.calls);
  state.set_denied_per_second(rates.denied);
  state.set_bytes_per_second(rates.bytes);
  state.set_rate_window_nano(static_cast<std::uint64_t>(nanoseconds(rates.window).count()));
}

void fill_latency(const DurationHistogram& latency, v1::DurationBuckets& message) {
  if (latency.count() == 0) return;
  for (const auto bound : DurationHistogram::kBounds)
    message.add_bounds_nano(static_cast<std::uint64_t>(nanoseconds(bound).count()));
  for (const auto bucket : latency.buckets()) message.add_counts(bucket);
}

// The limit of which the smallest part is left, if any of it is used.
void fill_nearest(const std::vector<LimitLeft>& limits, v1::VmState& state) {
  double least = 1;
  for (const auto& limit : limits) {
    const auto left = static_cast<double>(limit.left) / static_cast<double>(std::max<std::uint64_t>(limit.limit, 1));
    if (left >= least) continue;
    least = left;
    state.set_nearest_limit(std::string(limit.info.name));
    state.set_nearest_used(1 - left);
  }
}

Status status_of(const Registry::Refusal& refusal) {
  using Kind = Registry::Refusal::Kind;
  switch (refusal.kind) {
    case Kind::kInvalid: return {Code::kInvalidArgument, refusal.text};
    case Kind::kTaken: return {Code::kAlreadyExists, refusal.text};
    case Kind::kNotFound: return {Code::kNotFound, refusal.text};
    case Kind::kFromFile: return {Code::kFailedPrecondition, refusal.text};
    case Kind::kStorage: return {Code::kUnavailable, refusal.text};
  }
  return {Code::kInternal, refusal.text};
}

// Makes the record that the request asks for of the present one.
Status apply(const v1::VmSetRequest& request, VmRecord& record) {
  const auto wrong = [&](const std::string& what) {
    return Status{Code::kInvalidArgument, vm_text(record) + " " + what + "; hostcallctl vm show " + record.name};
  };
  for (const auto& tag : request.remove_tags())
    if (std::erase(record.tags, tag) == 0) return wrong("has no tag " + in_quotes(tag));
  for (const auto& tag : request.add_tags())
    if (std::ranges::find(record.tags, tag) == record.tags.end()) record.tags.push_back(tag);
  for (const auto& name : request.reset_limits())
    if (record.limits.erase(name) == 0) return wrong("has no value of its own for the limit " + in_quotes(name));
  for (const auto& limit : request.limits()) record.limits[limit.name()] = limit.value();
  return {};
}

std::uint64_t count_keys(const store::Engine& engine, const std::string& vm) {
  std::uint64_t keys = 0;
  if (is_name(vm))
    engine.scan(store::vm_prefix(vm), {}, [&](const store::Ref&) {
      ++keys;
      return true;
    });
  return keys;
}

bool is_persistent(const Vm& vm) { return vm.origin == Vm::kPersistent; }

}  // namespace

Status no_vm(std::string_view name) {
  return {Code::kNotFound, "no VM is named " + in_quotes(name) + "; hostcallctl vm list shows all"};
}

std::size_t page_size(std::uint32_t asked) {
  return asked == 0 ? kMostPerPage : std::min<std::size_t>(asked, kMostPerPage);
}

void VmAdmin::fill_state(const Vm& vm, v1::VmState& state) const {
  fill_record(vm.record, *state.mutable_record());
  state.set_origin(vm.origin);
  state.set_registration(vm.registration);
  state.set_boot_id(vm.boot_id);
  state.set_connections(static_cast<std::uint32_t>(vm.quota.used(Resource::kConnections)));
  state.set_streams(static_cast<std::uint32_t>(vm.quota.used(Resource::kStreams)));
  state.set_memory_bytes(vm.quota.used(Resource::kMemory) + vm.quota.used(Resource::kOutbound));
  state.set_store_history_bytes(parts_.store.history_bytes(vm.record.name));
  state.set_calls(vm.counts.calls);
  state.set_denied(vm.counts.denied);
  state.set_limited(vm.counts.limited);
  state.set_bytes_in(vm.counts.bytes_in);
  state.set_bytes_out(vm.counts.bytes_out);
  fill_rates(vm.rates.of(vm.counts, parts_.reactor.now()), state);
  fill_latency(vm.counts.latency, *state.mutable_latency());
  fill_nearest(limits_left(vm, parts_.store.usage(vm.record.name), parts_.reactor.now()), state);
  state.set_unreachable(parts_.server.unreachable(vm));
  state.set_uds_path(uds_path_of(vm.record));
}

Status VmAdmin::list(const v1::VmListRequest& request, v1::VmListResponse& response) const {
  const auto& vms = parts_.registry.all();
  auto at = vms.upper_bound(request.after());
  for (auto left = page_size(request.limit()); left != 0 && at != vms.end(); --left, ++at)
    fill_state(*at->second, *response.add_vms());
  if (at != vms.end()) response.set_next(std::prev(at)->first);
  return {};
}

Status VmAdmin::show(const v1::VmShowRequest& request, v1::VmShowResponse& response) const {
  const auto vm = parts_.registry.find(request.name());
  if (!vm) return no_vm(request.name());
  fill_state(*vm, *response.mutable_vm());
  fill_limits(limits_left(*vm, parts_.store.usage(vm->record.name), parts_.reactor.now()), *response.mutable_limits());
  return {};
}

template <class Work, class Then>
void VmAdmin::on_disk(Work work, Then then) const {
  const auto outcome = std::make_shared<std::optional<decltype(work())>>();
  parts_.background.run([outcome, work = std::move(work)] { *outcome = work(); },
                        [outcome, then = std::move(then)]() mutable { then(**outcome); });
}

// Removes a VM that could not be added as a whole from the registry. Returns the answer to the caller.
Status VmAdmin::take_back(const Vm& vm, Code code, const std::string& why) const {
  if (!vm.removed) {
    const auto undone = parts_.registry.remove(vm.record.name);
    if (!undone.vm)
      return {code, vm_text(vm.record) + " is registered, but only in part: " + why +
                        "; taking that back has failed too: " + undone.refusal.text +
                        "; remove it with hostcallctl vm remove"};
  }
  return {code, vm_text(vm.record) + " is not added: " + why};
}

Status VmAdmin::add(const v1::VmAddRequest& request, v1::VmAddResponse& response, LateAnswerPtr& later) const {
  if (auto differ = check_limits_differ(request.record()); !differ.ok()) return differ;
  auto outcome = parts_.registry.add(with_own_directory(record_of(request.record()), parts_.config.runtime_directory),
                                     request.persistent());
  if (!outcome.vm) return status_of(outcome.refusal);
  // A VM without its listener can't call.
  if (const auto added = parts_.server.vm_added(*outcome.vm); !added.ok())
    return take_back(*outcome.vm, Code::kFailedPrecondition, added.error().message());
  fill_state(*outcome.vm, *response.mutable_vm());
  if (!request.persistent()) {
    parts_.server.record_added(*outcome.vm);
    return {};
  }
  auto answer = std::make_unique<LateAnswer>();
  on_disk(parts_.registry.writing(*outcome.vm),
          [this, vm = outcome.vm, response, to = answer->to(),
           work = begin_disk_work(outcome.vm->record.name, Sort::kOther)](const Done& written) {
            if (written.ok()) {
              parts_.server.record_added(*vm);
              return to.reply(response);
            }
            const bool was_removed = vm->removed;  // meanwhile, by another call
            const auto refusal = take_back(*vm, Code::kUnavailable, written.error().message());
            if (vm->removed && !was_removed) parts_.server.vm_removed(*vm);
            to.finish(refusal);
          });
  later = std::move(answer);
  return {};
}

std::shared_ptr<void> VmAdmin::begin_disk_work(const std::string& name, Sort sort) const {
  disk_work_->names.insert(name);
  if (sort == Sort::kChange) disk_work_->changes.insert(name);
  return {nullptr, [work = disk_work_, name, sort](void*) {
            work->names.erase(work->names.find(name));
            if (sort == Sort::kChange) work->changes.erase(work->changes.find(name));
          }};
}

Status VmAdmin::another_change(const std::string& name) {
  return {Code::kUnavailable, "another change of VM " + in_quotes(name) + " is on its way to the disk; try again"};
}

Status VmAdmin::set(const v1::VmSetRequest& request, v1::VmSetResponse& response, LateAnswerPtr& later) const {
  const auto vm = parts_.registry.find(request.name());
  if (!vm) return no_vm(request.name());
  if (const auto found = parts_.registry.find_changeable(vm->record); !found.vm) return status_of(found.refusal);
  if (disk_work_->names.contains(request.name())) return another_change(request.name());
  auto record = vm->record;
  if (auto differ = check_limits_differ(request); !differ.ok()) return differ;
  if (auto status = apply(request, record); !status.ok()) return status;
  if (const auto found = parts_.registry.find_changeable(record); !found.vm) return status_of(found.refusal);
  if (!is_persistent(*vm)) return set_now(record, response);
  auto answer = std::make_unique<LateAnswer>();
  on_disk(parts_.registry.rewriting(*vm, record),
          [this, record, to = answer->to(), work = begin_disk_work(record.name, Sort::kChange)](const Done& written) {
            if (!written.ok())
              return to.finish({Code::kUnavailable, vm_text(record) + " is not changed: " + written.error().message()});
            v1::VmSetResponse changed;
            const auto status = set_now(record, changed);
            status.ok() ? to.reply(changed) : to.finish(status);
          });
  later = std::move(answer);
  return {};
}

Status VmAdmin::set_now(const VmRecord& record, v1::VmSetResponse& response) const {
  const auto outcome = parts_.registry.change(record);
  if (!outcome.vm) return status_of(outcome.refusal);
  parts_.server.vm_changed(*outcome.vm);
  fill_state(*outcome.vm, *response.mutable_vm());
  return {};
}

struct VmAdmin::Removal {
  std::string name;
  VmRef vm;  // null: only keys are left of it
  bool purge;
  v1::VmRemoveResponse response;
  LateAnswer::To to;
  std::string unsynced = {};  // why its record may be back after a crash of the host; empty: it may not

  // Why the keys are not deleted; empty: they are, if that was asked.
  void answer(const std::string& keys_left = {}) const {
    if (keys_left.empty() && unsynced.empty()) return to.reply(response);
    const auto title = "VM \"" + name + "\"";
    if (!vm) return to.finish({Code::kUnavailable, "the keys of " + title + " are not all deleted: " + keys_left});
    std::string but;
    if (!keys_left.empty()) but = ", but its keys were not: " + keys_left;
    if (!unsynced.empty())
      but += ", but a crash of the host may bring its record back: " + unsynced + "; then remove it again";
    to.finish({Code::kUnavailable, title + " was removed" + but});
  }
};

Status VmAdmin::remove(const v1::VmRemoveRequest& request, v1::VmRemoveResponse& response, LateAnswerPtr& later) const {
  auto found = parts_.registry.find_removable(request.name());
  if (request.purge()) response.set_keys_deleted(count_keys(parts_.store, request.name()));
  // A VM that is no longer registered may have left keys.
  const bool only_keys =
      found.refusal.kind == Registry::Refusal::Kind::kNotFound && request.purge() && response.keys_deleted() != 0;
  if (!found.vm && !only_keys) return status_of(found.refusal);
  auto answer = std::make_unique<LateAnswer>();
  Removal removal{request.name(), std::move(found.vm), request.purge(), response, answer->to()};
  if (removal.vm && is_persistent(*removal.vm)) {
    if (disk_work_->changes.contains(removal.name)) return another_change(removal.name);
    on_disk(parts_.registry.erasing(removal.name), [this, removal, work = begin_disk_work(removal.name, Sort::kOther)](
                                                       const Erased& erased) mutable {
      if (!erased.removed.ok())
        return removal.to.finish(
            {Code::kUnavailable, vm_text(removal.vm->record) + " is not removed: " + erased.removed.error().message()});
      if (!erased.synced.ok()) removal.unsynced = erased.synced.error().message();
      if (const auto removed = remove_now(removal); !removed.ok()) return removal.to.finish(removed);
      if (removal.purge) return purge(removal);
      removal.answer();
    });
  } else {
    if (const auto removed = remove_now(removal); !removed.ok()) return removed;
    response = removal.response;
    if (!removal.purge) return {};
    purge(removal);
  }
  later = std::move(answer);
  return {};
}

Status VmAdmin::remove_now(Removal& removal) const {
  if (!removal.vm) return {};
  // While the disk worked, another call may have removed it, and a new VM may have its name.
  if (removal.vm->removed) return no_vm(removal.name);
  const auto outcome = parts_.registry.remove(removal.name);
  if (!outcome.vm) return status_of(outcome.refusal);
  removal.response.set_removed(true);
  removal.response.set_sessions_ended(static_cast<std::uint32_t>(parts_.server.vm_removed(*outcome.vm)));
  parts_.server.record_removed(*outcome.vm);
  return {};
}

void VmAdmin::purge(const Removal& removal) const {
  parts_.store.purge(removal.name, [removal](store::OutcomeCode code) {
    removal.answer(code == store::OutcomeCode::kDone ? "" : "the store's disk has failed");
  });
}

}  // namespace hostcall::daemon
