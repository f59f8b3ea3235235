// ScriptedRunner: a runner that does what the test says, when it says so.
#pragma once

#include <array>
#include <memory>
#include <string>
#include <vector>

#include "daemon/services/runner.h"

namespace hostcall::daemon::test {

class ScriptedRunner final : public Runner {
 public:
  struct Connection final : Connecting {
    explicit Connection(ScriptedRunner& owner) : runner(owner) {}
    ~Connection() override { runner.connecting = nullptr; }
    ScriptedRunner& runner;
  };
  struct Program final : RunningProgram {
    explicit Program(ScriptedRunner& owner) : runner(owner) {}
    ~Program() override { runner.program = nullptr; }
    void send_signal(int signal) override { runner.signals.push_back(signal); }
    ScriptedRunner& runner;
  };

  std::unique_ptr<RunningProgram> start(const ServiceRecord& service, const RunnerCaller& caller,
                                        const std::vector<std::string>& arguments, std::array<UniqueFd, 3> descriptors,
                                        ProgramObserver& observer) override {
    log.push_back("start " + service.name + " for " + caller.vm + " " + caller.uuid);
    started_with = arguments;
    fds = std::move(descriptors);
    program = &observer;
    return std::make_unique<Program>(*this);
  }
  std::unique_ptr<Connecting> connect(const ServiceRecord& service, const RunnerCaller& caller,
                                      ConnectObserver& observer) override {
    log.push_back("connect " + service.name + " for " + caller.vm + " " + caller.uuid);
    connecting = &observer;
    return std::make_unique<Connection>(*this);
  }

  std::vector<std::string> log;
  ConnectObserver* connecting = nullptr;  // of the last connection; null: none waits
  ProgramObserver* program = nullptr;     // of the last program; null: none runs
  std::vector<std::string> started_with;
  std::array<UniqueFd, 3> fds;  // what it was given
  std::vector<int> signals;     // that it was sent
};

}  // namespace hostcall::daemon::test
