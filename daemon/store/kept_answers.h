// KeptAnswers: what writes with an idempotency key were answered, so that a repetition is not done twice. The newest of
// each owner are kept; on disk they lie beside the effect, written by the same commit.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace hostcall::daemon::store {

struct KeptAnswer {
  std::int64_t number = 0;  // in the order in which they came
  std::string owner;
  std::string key;
  std::string fingerprint;
  std::string bytes;
};
using KeptAnswerRef = std::shared_ptr<const KeptAnswer>;

class KeptAnswers {
 public:
  // Null: not known, or not any more.
  KeptAnswerRef find(const std::string& owner, const std::string& key) const;
  // Numbers rise. What is over the owner's limits is forgotten, the oldest first.
  void add(const KeptAnswerRef& answer);
  void forget_owner(const std::string& owner);

  bool knows(const std::string& owner) const { return owners_.contains(owner); }
  std::int64_t next_number() const { return next_number_; }
  std::size_t size() const;
  // Numbers of those forgotten by add(), which the disk still has.
  const std::vector<std::int64_t>& stale() const { return stale_; }
  void clear_stale() { stale_.clear(); }

 private:
  struct Owned {
    std::map<std::int64_t, KeptAnswerRef> by_number;
    std::unordered_map<std::string, KeptAnswerRef> by_key;
    std::size_t bytes = 0;
  };
  std::map<std::string, Owned> owners_;
  std::vector<std::int64_t> stale_;
  std::int64_t next_number_ = 1;
};

}  // namespace hostcall::daemon::store
