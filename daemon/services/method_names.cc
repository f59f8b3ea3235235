#include "daemon/services/method_names.h"

#include <span>

#include "hostcall/v1/admin.hostcall.h"
#include "hostcall/v1/diagnostics.hostcall.h"
#include "hostcall/v1/host.hostcall.h"
#include "hostcall/v1/relay.hostcall.h"
#include "hostcall/v1/run.hostcall.h"
#include "hostcall/v1/session.hostcall.h"
#include "hostcall/v1/store.hostcall.h"

namespace hostcall::daemon {
namespace {

// What the service's requests have in common.
struct Traits {
  bool for_guests = true;
  bool has_resource = false;
};

void add(std::span<const char* const> names, Traits traits, std::vector<KnownNames::Method>& methods) {
  for (const auto* name : names) methods.push_back({name, traits.for_guests, traits.has_resource});
}

}  // namespace

std::vector<KnownNames::Method> all_methods() {
  std::vector<KnownNames::Method> methods;
  add(v1::Admin::kAllMethods, {.for_guests = false}, methods);
  add(v1::Diagnostics::kAllMethods, {}, methods);
  add(v1::Host::kAllMethods, {}, methods);
  add(v1::Relay::kAllMethods, {.has_resource = true}, methods);
  add(v1::Run::kAllMethods, {.has_resource = true}, methods);
  add(v1::Session::kAllMethods, {}, methods);
  add(v1::Store::kAllMethods, {.has_resource = true}, methods);
  return methods;
}

}  // namespace hostcall::daemon
