#include "daemon/store/kept_answers.h"

#include "daemon/store/transaction.h"

namespace hostcall::daemon::store {

KeptAnswerRef KeptAnswers::find(const std::string& owner, const std::string& key) const {
  const auto owned = owners_.find(owner);
  if (owned == owners_.end()) return nullptr;
  const auto at = owned->second.by_key.find(key);
  return at == owned->second.by_key.end() ? nullptr : at->second;
}

void KeptAnswers::add(const KeptAnswerRef& answer) {
  next_number_ = answer->number + 1;
  auto& owned = owners_[answer->owner];
  owned.by_number.emplace(answer->number, answer);
  owned.by_key[answer->key] = answer;
  owned.bytes += answer->bytes.size();
  while (owned.by_number.size() > kMaxAnswers || owned.bytes > kMaxAnswerBytes) {
    stale_.push_back(owned.by_number.begin()->first);
    forget_oldest(owned);
  }
}

void KeptAnswers::forget_oldest(Owned& owned) {
  const auto oldest = owned.by_number.begin()->second;
  owned.bytes -= oldest->bytes.size();
  owned.by_key.erase(oldest->key);
  owned.by_number.erase(oldest->number);
}

void KeptAnswers::forget(const std::string& owner, std::int64_t until) {
  while (has_any(owner, until)) {
    auto& owned = owners_.at(owner);
    forget_oldest(owned);
    if (owned.by_number.empty()) owners_.erase(owner);
  }
}

bool KeptAnswers::has_any(const std::string& owner, std::int64_t until) const {
  const auto owned = owners_.find(owner);
  return owned != owners_.end() && owned->second.by_number.begin()->first <= until;
}

std::size_t KeptAnswers::size() const {
  std::size_t size = 0;
  for (const auto& [owner, owned] : owners_) size += owned.by_number.size();
  return size;
}

std::size_t KeptAnswers::bytes_of(const std::string& owner) const {
  // Keys, fingerprints and places in the maps.
  constexpr std::size_t kPerAnswer = 512;
  const auto owned = owners_.find(owner);
  return owned == owners_.end() ? 0 : owned->second.bytes + kPerAnswer * owned->second.by_number.size();
}

}  // namespace hostcall::daemon::store
