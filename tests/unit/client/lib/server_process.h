// A scripted host in a process of its own, for blocking calls: a test that blocks can't serve itself, and the
// library is tested without threads. It ends when this object does.
#pragma once

#include <string>

#include "proto/base/unique_fd.h"
#include "tests/unit/client/lib/scripted_host.h"

namespace hostcall::test {

class ServerProcess {
 public:
  explicit ServerProcess(Script script = extended_script());
  ServerProcess(const ServerProcess&) = delete;
  ServerProcess& operator=(const ServerProcess&) = delete;
  ~ServerProcess();

  // For hostcall_options.address.
  std::string address() const { return address_; }

 private:
  std::string address_;
  UniqueFd control_;  // its end tells the child
  pid_t child_ = -1;
};

// Serves by method name: Echo replies with the payload; EchoStream returns each message; Source sends "0" to "9"; Sink
// counts; Fail gives ABORTED; Hang never answers; Drop closes the connection. Host/Info answers as a host does.
Script serving_script();

}  // namespace hostcall::test
