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
    const auto oldest = owned.by_number.begin()->second;
    stale_.push_back(oldest->number);
    owned.bytes -= oldest->bytes.size();
    owned.by_key.erase(oldest->key);
    owned.by_number.erase(oldest->number);
  }
}

void KeptAnswers::forget_owner(const std::string& owner) { owners_.erase(owner); }

std::size_t KeptAnswers::size() const {
  std::size_t size = 0;
  for (const auto& [owner, owned] : owners_) size += owned.by_number.size();
  return size;
}

}  // namespace hostcall::daemon::store
