// MethodList: see method_list.h.
#include "client/hostcall/method_list.h"

#include <algorithm>
#include <set>

namespace hostcall::cli::guest {
namespace {

constexpr char kAllMethods[] = "/*";

}  // namespace

MethodList::MethodList(const v1::ListServicesResponse& services) {
  for (const auto& method : services.methods()) names_.push_back(method.method());
}

std::vector<std::string> MethodList::services() const {
  std::set<std::string> services;
  for (const auto& name : names_) services.insert(name.substr(0, name.find('/')));
  return {services.begin(), services.end()};
}

MethodList MethodList::described() const {
  MethodList described;
  for (const auto& name : names_)
    if (!name.ends_with(kAllMethods)) described.names_.push_back(name);
  return described;
}

bool MethodList::lacks_descriptors(const std::string& service) const {
  return std::ranges::find(names_, service + kAllMethods) != names_.end();
}

}  // namespace hostcall::cli::guest
