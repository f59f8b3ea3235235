// hostcall.v1.Admin, which hostcallctl calls. Served on the admin socket only; see proto/hostcall/v1/admin.proto.
#pragma once

#include "daemon/calls/access.h"
#include "daemon/calls/router.h"
#include "daemon/calls/server_control.h"
#include "daemon/calls/service_catalog.h"
#include "daemon/config/config.h"
#include "daemon/loop/background.h"
#include "daemon/loop/reactor.h"
#include "daemon/services/host_calls.h"
#include "daemon/services/metrics.h"
#include "daemon/store/engine.h"
#include "daemon/vms/audit.h"
#include "daemon/vms/events.h"
#include "daemon/vms/registry.h"
#include "hostcall/v1/admin.pb.h"

namespace hostcall::daemon {

struct AdminParts {
  Reactor& reactor;
  Audit& audit;
  Events& events;
  const Config& config;
  Registry& registry;
  const Access& access;
  const ServiceCatalog& catalog;
  HostCalls& host_calls;
  store::Engine& store;
  const v1::StoreCondition& store_condition;
  MetricSources metrics;
  ServerControl& server;
  Background& background;
  std::string config_file;
};

// All must outlive the router.
void register_admin_service(Router& router, const AdminParts& parts);

}  // namespace hostcall::daemon
