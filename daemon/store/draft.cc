#include "daemon/store/draft.h"

#include <utility>

namespace hostcall::daemon::store {

Ref Draft::find(std::string_view key) const {
  const auto at = changed_.find(key);
  if (at == changed_.end()) return under_.find(key);
  return (*at)->deleted() ? nullptr : *at;
}

Usage Draft::usage(const std::string& owner) const {
  const auto at = usage_.find(owner);
  return at == usage_.end() ? under_.usage(owner) : at->second;
}

void Draft::change(Ref now, Ref previous) {
  if (previous != nullptr) {
    const std::string owner(previous->owner());
    auto& used = usage_.try_emplace(owner, usage(owner)).first->second;
    used.keys -= 1;
    used.bytes -= previous->bytes();
  }
  if (!now->deleted()) {
    const std::string owner(now->owner());
    auto& used = usage_.try_emplace(owner, usage(owner)).first->second;
    used.keys += 1;
    used.bytes += now->bytes();
  }
  put(changed_, now);
  events_.push_back({std::move(now), std::move(previous)});
}

void Draft::absorb(const Draft& above) {
  for (const auto& event : above.events_) {
    put(changed_, event.now);
    events_.push_back(event);
    revision_ = event.revision();
  }
  for (const auto& [owner, used] : above.usage_) usage_.insert_or_assign(owner, used);
}

}  // namespace hostcall::daemon::store
