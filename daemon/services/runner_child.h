// RunnerChild: a `hostcall-runner --direct` that hostcalld has started. It ends by itself when its connection closes.
#pragma once

#include <sys/types.h>

#include <memory>
#include <string>
#include <vector>

#include "daemon/loop/reactor.h"
#include "proto/base/result.h"
#include "proto/base/unique_fd.h"

namespace hostcall::daemon {

class RunnerChild final : public IoHandler {
 public:
  // Starts the program. It inherits the socket and standard error, and nothing else.
  static Result<std::unique_ptr<RunnerChild>> spawn(Reactor& reactor, const std::string& program,
                                                    const std::vector<std::string>& services, UniqueFd socket);
  ~RunnerChild();

  bool has_ended() const { return pid_ < 0; }
  pid_t pid() const { return pid_; }
  // Reaps it.
  void on_io(std::uint32_t events) override;

 private:
  RunnerChild(Reactor& reactor, pid_t pid) : reactor_(reactor), pid_(pid) {}
  void stop_watching();

  Reactor& reactor_;
  pid_t pid_;  // -1: it has ended
  UniqueFd process_;
};

// The path of the hostcall-runner that was installed beside this program.
std::string runner_beside_this_program();

}  // namespace hostcall::daemon
