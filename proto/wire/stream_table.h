// StreamTable: the open streams of an endpoint by id. Most connections have one call open at a time: it has a place in
// the table itself and costs no allocation. A table without streams holds next to no memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "proto/wire/stream.h"

namespace hostcall::wire {

class StreamTable {
 public:
  StreamTable() = default;
  StreamTable(const StreamTable&) = delete;
  StreamTable& operator=(const StreamTable&) = delete;

  std::size_t size() const { return (single_ ? 1 : 0) + others_.size() - gone_; }

  // Null: there is none with this id.
  Stream* find(std::uint32_t id) {
    if (single_ && single_->id() == id) return &*single_;
    return others_.empty() ? nullptr : find_slow(id);
  }
  // Null: the table has a stream with this id. The new stream stays where it is until it is erased.
  Stream* add(std::uint32_t id, std::uint32_t send_credit, std::uint32_t receive_credit) {
    if (single_ || !others_.empty()) return add_slow(id, send_credit, receive_credit);
    return &single_.emplace(id, send_credit, receive_credit);
  }
  // Needs a stream of this table.
  void erase(Stream& stream) {
    if (single_ && &stream == &*single_)
      single_.reset();
    else
      erase_slow(stream);
  }
  // In no order. `visit` must not add or erase any.
  template <class Visit>
  void for_each(Visit visit) {
    if (single_) visit(*single_);
    for (const auto& other : others_)
      if (other.stream) visit(*other.stream);
  }

 private:
  struct Other {
    std::uint32_t id;
    std::unique_ptr<Stream> stream;  // null: it is gone
  };

  std::vector<Other>::iterator place_of(std::uint32_t id);
  Stream* find_slow(std::uint32_t id);
  Stream* add_slow(std::uint32_t id, std::uint32_t send_credit, std::uint32_t receive_credit);
  void erase_slow(Stream& stream);

  std::optional<Stream> single_;
  // The rest, by id: ids grow, so that nearly all come at the end, and no choice of them makes a search slow. What is
  // gone keeps its place until it is half of all.
  std::vector<Other> others_;
  std::size_t gone_ = 0;
};

}  // namespace hostcall::wire
