#include "daemon/handover/outgoing.h"

#include "proto/base/bytes.h"

namespace hostcall::daemon {

std::uint32_t Outgoing::add(int fd) {
  descriptors_.push_back(fd);
  return static_cast<std::uint32_t>(descriptors_.size() - 1);
}

void Outgoing::write(const handover::Record& record) {
  const auto at = state_.size();
  state_.resize(at + sizeof(std::uint32_t));
  record.AppendToString(&state_);
  store_be32(state_.data() + at, static_cast<std::uint32_t>(state_.size() - at - sizeof(std::uint32_t)));
}

}  // namespace hostcall::daemon
