// What hostcalld may ask for: the checks that make a request an order. hostcalld is not trusted here. It can choose one
// of the administrator's entries, the caller and the arguments that the entry allows; everything else comes from the
// entry.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "daemon/config/service_file.h"
#include "proto/wire/status.h"
#include "runner/runner.pb.h"

namespace hostcall::daemon {

// A program to run.
struct ProgramOrder {
  std::shared_ptr<const ServiceRecord> service;
  std::string vm, uuid;
  std::vector<std::string> command;      // with everything filled in
  std::vector<std::string> environment;  // "NAME=value"

  const ProgramService& program() const { return *service->program(); }
};
// Not OK: why there is nothing to run; fit for a guest.
wire::Status check_start(const Services& services, const runner::Start& start, ProgramOrder& order);

// A socket to connect to.
struct ConnectOrder {
  std::shared_ptr<const ServiceRecord> service;
  std::string vm;

  const SocketService& socket() const { return *service->socket(); }
};
wire::Status check_connect(const Services& services, const runner::Connect& connect, ConnectOrder& order);

}  // namespace hostcall::daemon
