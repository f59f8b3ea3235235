// Snapshot: the keys below a prefix as they were at one revision, read in parts while the store goes on. Reads the
// index where it has not changed since; keeps, of the keys that are still to be read, those that have.
#pragma once

#include <string>
#include <vector>

#include "daemon/store/model.h"

namespace hostcall::daemon::store {

class Snapshot {
 public:
  // Keys that a part looks at, at most.
  static constexpr std::size_t kMaxPartKeys = 1000;
  // What a record that is kept takes beside its key and value.
  static constexpr std::size_t kKeptBytes = 256;

  struct Part {
    std::vector<Ref> items;  // sorted by key; may be empty
    bool last = false;
  };

  // Of the model's present revision. The model must outlive it.
  Snapshot(const Model& model, std::string prefix)
      : model_(model), prefix_(std::move(prefix)), revision_(model.revision()) {}

  Revision revision() const { return revision_; }
  // The next part: about `max_bytes` of keys and values. The same again until taken().
  Part read(std::size_t max_bytes);
  void taken();

  // Must be told of each change below the prefix, in order. True: kept_bytes() has grown.
  bool note(const Event& event);
  // The memory of what is kept.
  std::size_t kept_bytes() const { return kept_bytes_; }

 private:
  bool is_ahead(std::string_view key) const { return taken_to_.empty() || key > taken_to_; }
  const Model& model_;
  const std::string prefix_;
  const Revision revision_;
  std::string taken_to_;  // the last key that is taken; empty: none is
  std::string read_to_;   // the last key that the last part looked at
  Index kept_;            // as they were at revision_
  std::size_t kept_bytes_ = 0;
};

}  // namespace hostcall::daemon::store
