// Connection between two daemons: the one before stops between two bytes, and the next one goes on from there.
#include <utility>

#include "daemon/calls/connection.h"
#include "daemon/handover/incoming.h"
#include "daemon/handover/outgoing.h"
#include "proto/net/socket.h"

namespace hostcall::daemon {

void Connection::freeze() {
  frozen_ = true;
  if (state_ == State::kOpen && interest_ != 0) update_interest();
}

void Connection::thaw() {
  frozen_ = false;
  if (state_ != State::kOpen) return;
  wait_for_turn();
  flush_soon();
}

bool Connection::hand_over(Outgoing& parcel) {
  if (!is_portable()) return false;
  handover::Record record;
  auto& out = *record.mutable_connection();
  session_.hand_over(out, parcel);
  session_.bury_calls();
  if (!send_some() || state_ != State::kOpen) return false;
  out.set_descriptor(parcel.add(fd_.get()));
  out.set_listener(*caller_.listener);
  if (caller_.vm) {
    out.set_vm(caller_.vm->record.name);
    out.set_registration(caller_.vm->registration);
  }
  out.set_bytes_in(bytes_in_);
  out.set_bytes_out(bytes_out_);
  out.set_age_ns((calls_.reactor.now() - opened_).count());
  auto& endpoint = *out.mutable_endpoint();
  endpoint.set_unread_input(std::string(session_.endpoint().incomplete()));
  if (unread_) endpoint.mutable_unread_input()->append(unread_->rest);
  session_.endpoint().output().append_to(*endpoint.mutable_unsent_output());
  parcel.write(record);
  return true;
}

Done Connection::resume(const handover::Connection& in, Incoming& parcel, Status objection) {
  bytes_in_ = in.bytes_in();
  bytes_out_ = in.bytes_out();
  opened_ -= nanoseconds(in.age_ns());
  if (auto status = session_.resume(in, parcel, objection); !status.ok()) objection = std::move(status);
  frames_seen_ = session_.endpoint().frames_received();
  HOSTCALL_TRY(watch());
  if (!objection.ok()) {
    end(wire::GoawayReason::kRemoved, objection.message);
    return done();
  }
  session_.settle_output();
  if (const auto& input = in.endpoint().unread_input(); !input.empty()) keep_unread(input);
  if (state_ == State::kOpen) wait_for_turn();
  flush_soon();
  return done();
}

}  // namespace hostcall::daemon
