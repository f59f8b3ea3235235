#include "daemon/services/host_calls.h"

#include <algorithm>

namespace hostcall::daemon {

std::uint64_t HostCalls::add(ListedHostCall& call) {
  calls_.emplace_hint(calls_.end(), ++last_, &call);
  return last_;
}

bool HostCalls::add_again(std::uint64_t number, ListedHostCall& call) {
  last_ = std::max(last_, number);
  return number != 0 && calls_.emplace(number, &call).second;
}

ListedHostCall* HostCalls::find(std::uint64_t number) const {
  const auto at = calls_.find(number);
  return at == calls_.end() ? nullptr : at->second;
}

void HostCalls::for_each(std::uint64_t after,
                         const std::function<bool(std::uint64_t, const ListedHostCall&)>& visit) const {
  for (auto at = calls_.upper_bound(after); at != calls_.end(); ++at)
    if (!visit(at->first, *at->second)) return;
}

}  // namespace hostcall::daemon
