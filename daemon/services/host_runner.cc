#include "daemon/services/host_runner.h"

#include <utility>

#include "daemon/handover/incoming.h"
#include "daemon/handover/outgoing.h"

namespace hostcall::daemon {
namespace {

void write(const RunnerLink& link, bool is_for_tcp, Outgoing& parcel) {
  if (!link.is_open()) return;
  handover::Record record;
  auto& runner = *record.mutable_runner();
  link.hand_over(runner, parcel);
  runner.set_is_for_tcp(is_for_tcp);
  parcel.write(record);
}

}  // namespace

void HostRunner::hand_over(Outgoing& parcel) const {
  write(runner_, false, parcel);
  if (tcp_) write(*tcp_, true, parcel);
}

void HostRunner::take_up(Incoming& incoming) {
  for (const auto& runner : incoming.runners) {
    auto socket = incoming.take(runner.descriptor());
    if (!socket) continue;
    if (!runner.is_for_tcp())
      runner_.take_up(runner, std::move(socket));
    else if (tcp_)
      tcp_->take_up(runner, std::move(socket));
  }
}

}  // namespace hostcall::daemon
