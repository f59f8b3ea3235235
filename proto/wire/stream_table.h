// StreamTable: the open streams of an endpoint by id. Most connections have one call open at a time; its stream lies in
// the table itself and costs no allocation. A table without streams holds almost no memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "proto/wire/stream.h"

namespace hostcall::wire {

class StreamTable {
 public:
  StreamTable() = default;
  StreamTable(const StreamTable&) = delete;
  StreamTable& operator=(const StreamTable&) = delete;

  std::size_t size() const { return (single_ ? 1 : 0) + others_.size() - gone_; }

  // Null: no stream has this id.
  Stream* find(std::uint32_t id) {
    if (single_ && single_->id() == id) return &*single_;
    return others_.empty() ? nullptr : find_slow(id);
  }
  // Null: a stream has this id already. The address of the new stream never changes.
  Stream* add(std::uint32_t id, std::uint32_t send_credit, std::uint32_t receive_credit) {
    if (single_ || !others_.empty()) return add_slow(id, send_credit, receive_credit);
    return &single_.emplace(id, send_credit, receive_credit);
  }
  // The stream must be in this table.
  void erase(Stream& stream) {
    if (single_ && &stream == &*single_)
      single_.reset();
    else
      erase_slow(stream);
  }
  // In no particular order. `visit` must not add or erase streams.
  template <class Visit>
  void for_each(Visit visit) {
    if (single_) visit(*single_);
    for (const auto& other : others_)
      if (other.stream) visit(*other.stream);
  }
  template <class Visit>
  void for_each(Visit visit) const {
    if (single_) visit(*single_);
    for (const auto& other : others_)
      if (other.stream) visit(std::as_const(*other.stream));
  }

 private:
  struct Other {
    std::uint32_t id;
    std::unique_ptr<Stream> stream;  // null: gone
  };

  std::vector<Other>::iterator place_of(std::uint32_t id);
  Stream* find_slow(std::uint32_t id);
  Stream* add_slow(std::uint32_t id, std::uint32_t send_credit, std::uint32_t receive_credit);
  void erase_slow(Stream& stream);

  std::optional<Stream> single_;
  // The other streams, sorted by id. Ids grow, so nearly all are appended, and no choice of ids makes a lookup slow. A
  // stream that is gone keeps its place until half of all are gone.
  std::vector<Other> others_;
  std::size_t gone_ = 0;
};

}  // namespace hostcall::wire
