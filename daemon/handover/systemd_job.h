// Why systemd ends this process: for good, or to start it again.
#pragma once

#include "proto/base/clock.h"

namespace hostcall::daemon {

enum class SystemdJob {
  kRestart,
  kRestartWithoutStore,  // but the unit keeps no descriptors (FileDescriptorStoreMax=), so nothing can be handed over
  kStop,                 // or nothing at all: the signal is not systemd's
  kUnknown,              // systemd has not started us, or has not answered
};

// How long the daemon waits for the answer, whatever D-Bus does.
inline constexpr milliseconds kJobWait{200};

// Asks systemd over D-Bus which job of our unit is in progress. To be called while SIGTERM is handled.
SystemdJob systemd_job(milliseconds wait = kJobWait);

}  // namespace hostcall::daemon
