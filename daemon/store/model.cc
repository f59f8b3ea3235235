#include "daemon/store/model.h"

#include <tuple>

namespace hostcall::daemon::store {
namespace {

auto holder_of(const Ref& record) { return std::tuple(record->lifetime(), record->holder()); }
auto holder_of(const HolderOrder::Point& point) { return std::tuple(point.lifetime, point.holder); }

}  // namespace

bool HolderOrder::operator()(const Ref& a, const Ref& b) const {
  return std::tuple(a->lifetime(), a->holder(), a->key()) < std::tuple(b->lifetime(), b->holder(), b->key());
}
bool HolderOrder::operator()(const Ref& a, const Point& b) const { return holder_of(a) < holder_of(b); }
bool HolderOrder::operator()(const Point& a, const Ref& b) const { return holder_of(a) < holder_of(b); }

Ref Model::find(std::string_view key) const {
  const auto at = index_.find(key);
  return at == index_.end() ? nullptr : *at;
}

Usage Model::usage(const std::string& owner) const {
  const auto at = usage_.find(owner);
  return at == usage_.end() ? Usage{} : at->second;
}

void Model::account(const Record& record, bool add) {
  bytes_ = add ? bytes_ + record.bytes() : bytes_ - record.bytes();
  auto at = usage_.find(record.owner());
  if (at == usage_.end()) at = usage_.emplace(std::string(record.owner()), Usage{}).first;
  auto& used = at->second;
  used.keys = add ? used.keys + 1 : used.keys - 1;
  used.bytes = add ? used.bytes + record.bytes() : used.bytes - record.bytes();
  if (used == Usage{}) usage_.erase(at);
}

void Model::restore(const Ref& record) {
  index_.insert(index_.end(), record);
  if (record->lifetime() != Lifetime::kPersistent) holders_.insert(record);
  account(*record, true);
}

void Model::finish_restore(Revision revision) {
  revision_ = revision;
  history_.trim();
}

void Model::remove(const Ref& record) {
  if (record->lifetime() != Lifetime::kPersistent) holders_.erase(record);
  account(*record, false);
}

void Model::apply(const Batch& batch) {
  history_.mark_saved();
  for (const auto& event : batch.events) {
    if (event.previous != nullptr) remove(event.previous);
    if (event.now->deleted()) {
      if (const auto at = index_.find(event.now->key()); at != index_.end()) index_.erase(at);
    } else {
      put(index_, event.now);
      if (event.now->lifetime() != Lifetime::kPersistent) holders_.insert(event.now);
      account(*event.now, true);
    }
    history_.append(event);
  }
  revision_ = batch.revision;
  answers_.clear_stale();
  for (const auto& [owner, until] : batch.forgotten_answers) answers_.forget(owner, until);
  for (const auto& vm : batch.purged) history_.forget(vm_prefix(vm));
  for (const auto& answer : batch.answers) answers_.add(answer);
}

}  // namespace hostcall::daemon::store
