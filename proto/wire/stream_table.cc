#include "proto/wire/stream_table.h"

#include <algorithm>
#include <cassert>

namespace hostcall::wire {
namespace {

// Capacity that a table keeps, however few streams it has.
constexpr std::size_t kKeptPlaces = 64;

}  // namespace

// The first of the others whose id is at least `id`.
std::vector<StreamTable::Other>::iterator StreamTable::place_of(std::uint32_t id) {
  if (others_.empty() || others_.back().id < id) return others_.end();
  return std::ranges::lower_bound(others_, id, {}, &Other::id);
}

// Slow path: not the single stream.
Stream* StreamTable::find_slow(std::uint32_t id) {
  const auto at = place_of(id);
  return at != others_.end() && at->id == id ? at->stream.get() : nullptr;
}

// Slow path: there are streams already. Reuses the place of a stream that is gone.
Stream* StreamTable::add_slow(std::uint32_t id, std::uint32_t send_credit, std::uint32_t receive_credit) {
  if (find(id) != nullptr) return nullptr;
  if (!single_) return &single_.emplace(id, send_credit, receive_credit);
  auto stream = std::make_unique<Stream>(id, send_credit, receive_credit);
  auto* added = stream.get();
  const auto at = place_of(id);
  if (at != others_.end() && at->id == id) {
    at->stream = std::move(stream);
    --gone_;
  } else {
    others_.insert(at, Other{id, std::move(stream)});
  }
  return added;
}

// Slow path: not the single stream.
void StreamTable::erase_slow(Stream& stream) {
  const auto at = place_of(stream.id());
  assert(at != others_.end() && at->stream.get() == &stream);
  at->stream.reset();
  if (++gone_ * 2 < others_.size()) return;
  std::erase_if(others_, [](const Other& other) { return !other.stream; });
  gone_ = 0;
  if (others_.capacity() > std::max(kKeptPlaces, 4 * others_.size())) others_.shrink_to_fit();
}

}  // namespace hostcall::wire
