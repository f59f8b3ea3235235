#include "daemon/handover/incoming.h"

#include <utility>

#include "proto/base/bytes.h"

namespace hostcall::daemon {
namespace {

// A record that this build does not know is passed over.
void sort_in(handover::Record record, Incoming& incoming) {
  using Kind = handover::Record::KindCase;
  switch (record.kind_case()) {
    case Kind::kDaemon: incoming.daemon = std::move(*record.mutable_daemon()); break;
    case Kind::kListener: incoming.listeners.push_back(std::move(*record.mutable_listener())); break;
    case Kind::kVm: incoming.vms.push_back(std::move(*record.mutable_vm())); break;
    case Kind::kConnection: incoming.connections.push_back(std::move(*record.mutable_connection())); break;
    case Kind::kRunner: incoming.runners.push_back(std::move(*record.mutable_runner())); break;
    case Kind::kServiceStarts: incoming.service_starts.push_back(std::move(*record.mutable_service_starts())); break;
    case Kind::KIND_NOT_SET: break;
  }
}

}  // namespace

Result<Incoming> Incoming::read(std::string_view state, std::vector<UniqueFd> descriptors) {
  Incoming incoming;
  incoming.descriptors_ = std::move(descriptors);
  while (!state.empty()) {
    if (state.size() < sizeof(std::uint32_t)) return Error{0, "the last record has no length"};
    const auto bytes = load_be32(state.data());
    state.remove_prefix(sizeof(std::uint32_t));
    if (bytes > state.size()) return Error{0, "the last record is cut off"};
    handover::Record record;
    if (!record.ParseFromArray(state.data(), static_cast<int>(bytes))) return Error{0, "a record can't be parsed"};
    sort_in(std::move(record), incoming);
    state.remove_prefix(bytes);
  }
  return incoming;
}

UniqueFd Incoming::take(std::uint32_t place) {
  return place < descriptors_.size() ? std::move(descriptors_[place]) : UniqueFd();
}

}  // namespace hostcall::daemon
