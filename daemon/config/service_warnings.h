// Warnings about services that are valid, but can't be used as they are, or not be trusted.
#pragma once

#include <string>
#include <vector>

#include "daemon/config/config.h"
#include "daemon/config/service_file.h"
#include "daemon/config/socket_keys.h"
#include "daemon/config/vm_record.h"

namespace hostcall::daemon {

// What the services are judged by, besides themselves.
struct ServiceHost {
  bool direct = false;             // hostcalld starts programs as its own user, without systemd
  std::vector<OwnSocket> sockets;  // of hostcalld: no service may be one of them

  void add(const Config& config);
  void add(const VmRecord& vm);
};

// One line each, "FILE:LINE: …", in the order of the names. Looks at files and asks for users, which may take long.
std::vector<std::string> service_warnings(const Services& services, const ServiceHost& host);

}  // namespace hostcall::daemon
