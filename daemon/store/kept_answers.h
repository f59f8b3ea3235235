// KeptAnswers: the answers to writes with an idempotency key, so that a repetition does not run again. The newest of
// each owner are kept. On disk, the same commit writes an answer and the effect of its transaction.
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
  std::int64_t number = 0;  // ascending in order of arrival
  std::string owner;
  std::string key;
  std::string fingerprint;
  std::string bytes;
};
using KeptAnswerRef = std::shared_ptr<const KeptAnswer>;

class KeptAnswers {
 public:
  // Null: not known, or forgotten.
  KeptAnswerRef find(const std::string& owner, const std::string& key) const;
  // Numbers must rise. Forgets the owner's oldest answers while it is over its limits.
  void add(const KeptAnswerRef& answer);
  // Forgets the owner's answers up to this number.
  void forget(const std::string& owner, std::int64_t until);

  // Whether there is one to forget.
  bool has_any(const std::string& owner, std::int64_t until) const;
  std::int64_t next_number() const { return next_number_; }
  std::size_t size() const;
  std::size_t bytes_of(const std::string& owner) const;
  // Numbers of the answers that add() has forgotten, but that are still on disk.
  const std::vector<std::int64_t>& stale() const { return stale_; }
  void clear_stale() { stale_.clear(); }

 private:
  struct Owned {
    std::map<std::int64_t, KeptAnswerRef> by_number;
    std::unordered_map<std::string, KeptAnswerRef> by_key;
    std::size_t bytes = 0;
  };
  static void forget_oldest(Owned& owned);

  std::map<std::string, Owned> owners_;
  std::vector<std::int64_t> stale_;
  std::int64_t next_number_ = 1;
};

}  // namespace hostcall::daemon::store
