// Record: one state of one key. Immutable, and shared by the index, the history, watches' snapshots, answers, and the
// batch in the writer thread.
#pragma once

#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <string_view>

namespace hostcall::daemon::store {

// The revision of the whole store. Each transaction that changes something raises it by one. 0: nothing was ever
// written.
using Revision = std::int64_t;

// When a key is deleted automatically. The numbers are used on the wire and on disk.
enum class Lifetime : std::uint8_t { kPersistent = 0, kBoot = 1, kSession = 2 };

struct RecordFields {
  std::string_view key;
  std::string_view value;
  // The VM that is charged for it; empty: nobody.
  std::string_view owner;
  // The boot or session that ends it; empty for a persistent key.
  std::string_view holder;
  Revision create_revision = 0;
  Revision mod_revision = 0;
  std::int64_t version = 0;
  Lifetime lifetime = Lifetime::kPersistent;
  // A tombstone, used only in events: the key and mod_revision of a deletion.
  bool deleted = false;
};

class Record {
 public:
  explicit Record(const RecordFields& fields)
      : create_revision_(fields.create_revision),
        mod_revision_(fields.mod_revision),
        version_(fields.version),
        key_end_(static_cast<std::uint32_t>(fields.key.size())),
        owner_end_(static_cast<std::uint32_t>(key_end_ + fields.owner.size())),
        holder_end_(static_cast<std::uint32_t>(owner_end_ + fields.holder.size())),
        lifetime_(fields.lifetime),
        deleted_(fields.deleted) {
    text_.reserve(holder_end_ + fields.value.size());
    text_.append(fields.key).append(fields.owner).append(fields.holder).append(fields.value);
  }

  std::string_view key() const { return part(0, key_end_); }
  std::string_view owner() const { return part(key_end_, owner_end_); }
  std::string_view holder() const { return part(owner_end_, holder_end_); }
  std::string_view value() const { return part(holder_end_, text_.size()); }
  Revision create_revision() const { return create_revision_; }
  Revision mod_revision() const { return mod_revision_; }
  std::int64_t version() const { return version_; }
  Lifetime lifetime() const { return lifetime_; }
  bool deleted() const { return deleted_; }
  // The bytes that are charged: key and value.
  std::size_t bytes() const { return key_end_ + text_.size() - holder_end_; }
  // Those that are kept: owner and holder, too.
  std::size_t kept_bytes() const { return text_.size(); }

 private:
  std::string_view part(std::size_t begin, std::size_t end) const {
    return std::string_view(text_).substr(begin, end - begin);
  }
  // One allocation for all texts, because there may be a million records.
  std::string text_;
  Revision create_revision_;
  Revision mod_revision_;
  std::int64_t version_;
  std::uint32_t key_end_, owner_end_, holder_end_;
  Lifetime lifetime_;
  bool deleted_;
};

using Ref = std::shared_ptr<const Record>;

inline Ref make_record(const RecordFields& fields) { return std::make_shared<const Record>(fields); }

struct Event {
  // The new state; a tombstone for a deletion.
  Ref now;
  // The record that was replaced or deleted. Null: the key is new, or the kept history does not reach back far enough.
  Ref previous;

  Revision revision() const { return now->mod_revision(); }
  // Of both records' keys and values.
  std::size_t bytes() const { return now->bytes() + (previous == nullptr ? 0 : previous->bytes()); }
  std::size_t kept_bytes() const { return now->kept_bytes() + (previous == nullptr ? 0 : previous->kept_bytes()); }
};

// What is charged to a VM: its number of keys, and their bytes of keys and values together.
struct Usage {
  std::uint64_t keys = 0;
  std::uint64_t bytes = 0;
  bool operator==(const Usage&) const = default;
};

// Compares byte by byte; keys are sorted like this everywhere.
struct KeyOrder {
  using is_transparent = void;
  bool operator()(const Ref& a, const Ref& b) const { return a->key() < b->key(); }
  bool operator()(const Ref& a, std::string_view b) const { return a->key() < b; }
  bool operator()(std::string_view a, const Ref& b) const { return a < b->key(); }
};
using Index = std::set<Ref, KeyOrder>;

// Inserts the record, or replaces the one with the same key.
inline void put(Index& index, const Ref& record) {
  const auto at = index.lower_bound(record->key());
  if (at == index.end() || (*at)->key() != record->key()) {
    index.insert(at, record);
    return;
  }
  const auto behind = std::next(at);
  auto node = index.extract(at);
  node.value() = record;
  index.insert(behind, std::move(node));
}

}  // namespace hostcall::daemon::store
