#include "daemon/services/run_service.h"

#include "daemon/services/run_call.h"
#include "hostcall/v1/run.hostcall.h"

namespace hostcall::daemon {

void register_run_service(Router& router, const HostCallEnvironment& environment) {
  register_host_call<v1::Run::Start, RunCall>(router, environment);
  router.check_complete(v1::Run::kAllMethods);
}

}  // namespace hostcall::daemon
