// Observers of RunnerLink that keep what they are told.
#pragma once

#include <optional>
#include <string>

#include "daemon/services/runner.h"

namespace hostcall::daemon {

struct KeptProgramNews final : ProgramObserver {
  void on_started(const std::string& name) override { unit = name; }
  void on_ended(const ProgramEnd& told) override { end = told; }
  void on_failed(const wire::Status& status) override { failure = status; }
  bool is_over() const { return end || failure; }

  std::string unit;
  std::optional<ProgramEnd> end;
  std::optional<wire::Status> failure;
};

struct KeptConnectNews final : ConnectObserver {
  void on_connected(UniqueFd connected) override { socket = std::move(connected); }
  void on_connect_failed(const wire::Status& status) override { failure = status; }
  bool is_over() const { return socket || failure; }

  UniqueFd socket;
  std::optional<wire::Status> failure;
};

}  // namespace hostcall::daemon
