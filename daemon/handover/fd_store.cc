#include "daemon/handover/fd_store.h"

#include <cstdlib>
#include <utility>

#include "daemon/handover/carrier.h"
#include "daemon/handover/notify.h"
#include "daemon/handover/state_file.h"
#include "proto/base/clock.h"

namespace hostcall::daemon {
namespace {

constexpr seconds kWait{2};

// Without FDPOLL=0, systemd would drop the carrier as soon as its sending end is closed.
Done store(const Notify& notify, std::string_view name, const UniqueFd& descriptor) {
  const int fd = descriptor.get();
  return notify.send("FDSTORE=1\nFDPOLL=0\nFDNAME=" + std::string(name), std::span(&fd, 1));
}

Done remove(const Notify& notify) {
  for (const auto name : {kStateName, kCarrierName})
    HOSTCALL_TRY(notify.send("FDSTOREREMOVE=1\nFDNAME=" + std::string(name)));
  return done();
}

// The state goes first: if there is no room for both, the carrier is the one that is not kept.
Done store_both(const Notify& notify, const UniqueFd& state, Carrier carrier) {
  HOSTCALL_TRY(store(notify, kStateName, state));
  HOSTCALL_TRY(store(notify, kCarrierName, carrier.receiving));
  HOSTCALL_TRY(notify.barrier());
  carrier.receiving.reset();
  if (!is_held(carrier.sending))
    return Error{0, "systemd keeps no descriptors of this unit; set FileDescriptorStoreMax= of hostcalld.service"};
  return done();
}

Result<Parcel> unpack(const UniqueFd& state_file, const UniqueFd& carrier) {
  auto read = HOSTCALL_TRY(read_state(state_file.get()));
  auto descriptors = HOSTCALL_TRY(unload_carrier(carrier.get(), read.checksum, read.descriptors));
  return Parcel{std::move(read.state), std::move(descriptors)};
}

Result<Parcel> take(const StoredDescriptors& stored) {
  if (stored.states.empty()) return Error{0, "the state is missing"};
  if (stored.carriers.empty()) return Error{0, "the carrier is missing"};
  if (stored.states.size() > 1 || stored.carriers.size() > 1) return Error{0, "systemd has kept two of them"};
  return unpack(stored.states.front(), stored.carriers.front());
}

}  // namespace

Done give_to_systemd(std::string_view state, std::span<const int> descriptors) {
  const auto notify = HOSTCALL_TRY(Notify::open(Clock::now() + kWait));
  const auto written = HOSTCALL_TRY(write_state(state, descriptors.size()));
  auto carrier = HOSTCALL_TRY(load_carrier(written.checksum, descriptors));
  HOSTCALL_TRY(remove(notify));
  auto stored = store_both(notify, written.file, std::move(carrier));
  // Best effort: what is there of it would be an old parcel by the next start.
  if (!stored.ok()) (void)remove(notify);
  return stored;
}

Result<std::optional<Parcel>> take_from_systemd(StoredDescriptors stored) {
  if (stored.states.empty() && stored.carriers.empty()) return std::optional<Parcel>();
  auto parcel = HOSTCALL_TRY(take(stored).within("what the last daemon has handed over was dropped"));
  return std::optional(std::move(parcel));
}

Done forget_at_systemd() {
  if (std::getenv("NOTIFY_SOCKET") == nullptr) return done();
  const auto notify = HOSTCALL_TRY(Notify::open(Clock::now() + kWait));
  HOSTCALL_TRY(remove(notify));
  return notify.barrier();
}

}  // namespace hostcall::daemon
