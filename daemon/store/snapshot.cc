#include "daemon/store/snapshot.h"

#include <utility>

namespace hostcall::daemon::store {
namespace {

// Collects a part until it is full.
class Collector {
 public:
  explicit Collector(std::size_t max_bytes) : max_bytes_(max_bytes) {}

  // False: there is no room for it.
  bool take(const Ref& record) {
    if (!part.items.empty() && bytes_ + record->bytes() > max_bytes_) return false;
    bytes_ += record->bytes();
    part.items.push_back(record);
    return true;
  }
  Snapshot::Part part;

 private:
  const std::size_t max_bytes_;
  std::size_t bytes_ = 0;
};

}  // namespace

// What has changed since is in kept_, unless it was not there then.
Snapshot::Part Snapshot::read(std::size_t max_bytes) {
  Collector collector(max_bytes);
  auto kept = kept_.begin();
  std::size_t looked_at = 0;
  read_to_ = taken_to_;
  const auto take = [&](const Ref& record) {
    if (looked_at == kMaxPartKeys) return false;
    if (record->mod_revision() <= revision_ && !collector.take(record)) return false;
    ++looked_at;
    read_to_ = record->key();
    return true;
  };
  const auto take_kept_before = [&](std::string_view key) {
    for (; kept != kept_.end() && (*kept)->key() <= key; ++kept)
      if (!take(*kept)) return false;
    return true;
  };
  bool room = true;
  model_.scan(prefix_, taken_to_,
              [&](const Ref& record) { return room = take_kept_before(record->key()) && take(record); });
  for (; room && kept != kept_.end(); ++kept) room = take(*kept);
  collector.part.last = room;
  return std::move(collector.part);
}

void Snapshot::taken() {
  taken_to_ = std::exchange(read_to_, {});
  while (!kept_.empty() && !is_ahead((*kept_.begin())->key())) {
    kept_bytes_ -= (*kept_.begin())->bytes() + kKeptBytes;
    kept_.erase(kept_.begin());
  }
}

// The first change of a key after revision() names its record of then.
bool Snapshot::note(const Event& event) {
  const auto& before = event.previous;
  if (before == nullptr || before->mod_revision() > revision_ || !is_ahead(before->key())) return false;
  kept_.insert(before);
  kept_bytes_ += before->bytes() + kKeptBytes;
  return true;
}

}  // namespace hostcall::daemon::store
