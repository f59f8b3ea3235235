#include "daemon/services/relay_service.h"

#include "daemon/services/relay_call.h"
#include "hostcall/v1/relay.hostcall.h"

namespace hostcall::daemon {

void register_relay_service(Router& router, const HostCallEnvironment& environment) {
  register_host_call<v1::Relay::Open, RelayCall>(router, environment);
  router.check_complete(v1::Relay::kAllMethods);
}

}  // namespace hostcall::daemon
