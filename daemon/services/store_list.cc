#include "daemon/services/store_list.h"

#include <algorithm>

#include "daemon/services/store_messages.h"

namespace hostcall::daemon {
namespace {

// Limits of one page: keys, and bytes of the keys and values.
constexpr std::size_t kPageKeys = 1000;
constexpr std::size_t kPageBytes = 192 * 1024;
// Limits of one turn's work: keys, and policy's rules that it looks at to know whether the keys are hidden.
constexpr std::size_t kTurnKeys = 1000;
constexpr std::size_t kTurnRules = 8'000;
// What a unit of work pays for.
constexpr std::size_t kKeysPerUnit = 2;

}  // namespace

ListPage::ListPage(const store::Engine& engine, const CallContext& context, const Method& list,
                   const v1::ListRequest& request, std::string prefix, std::string after)
    : engine_(engine),
      session_(context.session),
      names_(context.caller),
      list_(list),
      prefix_(std::move(prefix)),
      most_items_(request.limit() == 0 ? kPageKeys : std::min<std::size_t>(request.limit(), kPageKeys)),
      keys_only_(request.keys_only()),
      revision_(engine.revision()),
      after_(std::move(after)) {}

bool ListPage::fill(v1::ListResponse& response) {
  keys_left_ = kTurnKeys;
  rules_looked_at_ = 0;
  complete_ = true;
  engine_.scan(prefix_, after_, [&](const store::Ref& record) { return look_at(*record, response) == Step::kGoOn; });
  response.set_revision(revision_);
  session_.spend(static_cast<Units>((kTurnKeys - keys_left_) / kKeysPerUnit + rules_looked_at_ / kRulesPerUnit));
  return complete_;
}

// A turn that ends with something to show completes the page. Then the keys since the last one that is shown are looked
// at again for the next page, but the continuation names none of them.
ListPage::Step ListPage::look_at(const store::Record& record, v1::ListResponse& response) {
  const bool is_over = keys_left_ == 0 || rules_looked_at_ >= kTurnRules;
  const auto shown = names_.shown(record.key());
  const bool is_seen = !is_over && session_.may({.method = &list_, .resource = shown}, rules_looked_at_);
  if (is_over || (is_seen && is_full(record, response))) {
    complete_ = response.items_size() != 0;
    if (complete_) response.set_continuation(response.items().rbegin()->key());
    return Step::kStop;
  }
  --keys_left_;
  after_ = record.key();
  if (!is_seen) return Step::kGoOn;
  bytes_ += size_of(record);
  fill_item(names_, record, !keys_only_, *response.add_items());
  return Step::kGoOn;
}

bool ListPage::is_full(const store::Record& next, const v1::ListResponse& response) const {
  const auto items = static_cast<std::size_t>(response.items_size());
  return items == most_items_ || (items != 0 && bytes_ + size_of(next) > kPageBytes);
}

std::size_t ListPage::size_of(const store::Record& record) const {
  return record.key().size() + (keys_only_ ? 0 : record.value().size());
}

void StoreList::work() {
  if (page_.fill(response_)) return call().reply(response_);
  work_.wait(share_, *this);
}

}  // namespace hostcall::daemon
