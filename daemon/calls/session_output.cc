// Session's answers and messages: whether the VM's outbound bytes have room for them, who waits until they have, and
// what is counted of calls that are answered.
#include <algorithm>
#include <utility>

#include "daemon/calls/session.h"
#include "daemon/calls/session_units.h"

namespace hostcall::daemon {
namespace {

// Room in a frame for the envelope around a payload.
constexpr std::size_t kEnvelopeBytes = 1024;
constexpr std::size_t kMaxReplyBytes = wire::kMaxDataBytes - kEnvelopeBytes;

// A message whose turn for the VM's room has come is sent even if the share has been used up since: another one would
// take the room meanwhile. The debt is paid back.
class IgnoreSuspension {
 public:
  IgnoreSuspension(wire::Endpoint& endpoint, bool ignore)
      : endpoint_(endpoint), again_(ignore && endpoint.suspended()) {
    if (again_) endpoint_.resume();
  }
  ~IgnoreSuspension() {
    if (again_) endpoint_.suspend();
  }
  IgnoreSuspension(const IgnoreSuspension&) = delete;
  IgnoreSuspension& operator=(const IgnoreSuspension&) = delete;

 private:
  wire::Endpoint& endpoint_;
  const bool again_;
};

}  // namespace

void Session::answer(wire::Stream& stream, const Status& status, const wire::Payload& reply) {
  if (!status.ok() || fits(reply.size())) return answer_with_room(stream, status, reply);
  answer_with_room(stream, no_room_for(reply.size(), "the call was made, but its reply"), {});
}

void Session::answer_at_once(wire::Stream& stream, const Method& method, const Status& status,
                             const wire::Payload& reply) {
  if (!status.ok()) [[unlikely]]
    return refuse_at_once(stream, *method.counts, status);
  if (!fits(reply.size())) [[unlikely]]
    return refuse_at_once(stream, *method.counts, no_room_for(reply.size(), "the call was made, but its reply"));
  // Before the answer, so that the call's registers need not outlast it.
  method.counts->succeeded();
  if (counts_.pace.is_due()) [[unlikely]]
    time_answer(method);
  answer_with_room(stream, status, reply);
}

void Session::refuse_at_once(wire::Stream& stream, MethodCounts& counts, const Status& status) {
  answer_with_room(stream, status, {});
  counts.ended(status.code, environment_.reactor.look_at_clock() - environment_.reactor.now());
}

void Session::time_answer(const Method& method) {
  const auto now = environment_.reactor.look_at_clock();
  const auto took = now - environment_.reactor.now();
  method.counts->timed(took);
  counts_.latency.add(took, counts_.pace.timed(now));
}

void Session::count_ended(const OpenCall& call, Code outcome) {
  const auto& method = call.method();
  const auto took = environment_.reactor.look_at_clock() - call.began;
  method.counts->ended(outcome, took);
  if (method.shape == wire::Shape::kUnary) counts_.latency.add(took);
}

void Session::answer_with_room(wire::Stream& stream, const Status& status, const wire::Payload& reply) {
  owner_.flush_soon();
  if (reply.size() >= kCopiedBytesPerUnit) spend(units_of_message(reply.size()));
  endpoint_.respond(stream, status, reply);
  settle_output();
}

Status Session::no_room() const {
  return over_limit(caller_, "outbound_bytes", caller_.vm->quota.limits().outbound_bytes, "read the replies first");
}

bool Session::fits(std::size_t reply_bytes) const {
  return reply_bytes <= kMaxReplyBytes && output_has_room(reply_bytes);
}

Status Session::reserve_reply(OpenCall& call, std::size_t bytes) {
  auto room = caller_.charge(Resource::kOutbound);
  if (!fits(bytes) || !room.try_grow(bytes)) return no_room_for(bytes, "the reply");
  call.reply_room = std::move(room);
  return {};
}

// `what` does not fit.
Status Session::no_room_for(std::size_t reply_bytes, std::string_view what) const {
  const auto of_bytes = std::string(what) + " of " + std::to_string(reply_bytes) + " bytes ";
  if (reply_bytes > kMaxReplyBytes)
    return {Code::kResourceExhausted, of_bytes + "is more than a message can hold (" + std::to_string(kMaxReplyBytes) +
                                          " bytes); ask for less at once"};
  const auto most = caller_.vm->quota.limits().outbound_bytes;
  return over_limit(
      caller_, "outbound_bytes", most,
      of_bytes + (reply_bytes < most ? "does not fit; read the replies first" : "never fits; ask for less at once"));
}

std::size_t Session::max_reply_bytes() const {
  if (!output_has_room(0)) return 0;
  return caller_.vm ? std::min<std::size_t>(kMaxReplyBytes, caller_.vm->quota.left(Resource::kOutbound) - 1)
                    : kMaxReplyBytes;
}

bool Session::may_send(OpenCall& call, std::size_t bytes) {
  return ready_to_send(call, bytes) == wire::SendOutcome::kSent;
}

wire::SendOutcome Session::send_message(OpenCall& call, const wire::Payload& message) {
  const auto size = message.size();
  if (const auto outcome = ready_to_send(call, size); outcome != wire::SendOutcome::kSent) return outcome;
  const IgnoreSuspension ignore(endpoint_, call.holds_room());
  const auto outcome = endpoint_.send_data(call.stream(), message);
  settle_output();
  call.give_up_room();  // after the output is charged, so that nobody else takes it meanwhile
  spend(units_of_message(size));
  owner_.flush_soon();
  return outcome;
}

// What endpoint_.send_data() would do, and whether there is room. Room is not kept for who waits for the peer.
wire::SendOutcome Session::ready_to_send(OpenCall& call, std::size_t message_bytes) {
  const IgnoreSuspension ignore(endpoint_, call.holds_room());
  const auto outcome = endpoint_.ready_to_send(call.stream());
  if (outcome == wire::SendOutcome::kSent)
    return has_room_for(call, message_bytes) ? outcome : wait_for_room(call, message_bytes);
  call.give_up_room();
  owner_.flush_soon();
  return outcome;
}

bool Session::has_room_for(const OpenCall& call, std::size_t message_bytes) const {
  return !caller_.vm || call.holds_room_for(message_bytes) ||
         (!call.holds_room() && caller_.vm->quota.has_room_for_message(message_bytes));
}

// Other connections of the VM may have filled it, perhaps with what other VMs have written.
wire::SendOutcome Session::wait_for_room(OpenCall& call, std::size_t message_bytes) {
  auto& quota = caller_.vm->quota;
  if (quota.never_fits(message_bytes)) {
    call.finish(no_room_for(message_bytes, "a message"));
    return wire::SendOutcome::kEnded;
  }
  const bool had_its_turn = call.holds_room();
  call.give_up_room();
  quota.wait_for_room(call, message_bytes, had_its_turn ? Quota::Place::kFirst : Quota::Place::kLast);
  return wire::SendOutcome::kBlocked;
}

// Goes on in another turn of the VM when its share is used up.
void Session::wake_for_room() {
  while (!endpoint_.suspended()) {
    auto* waiter = has_room_.pop_front();
    if (waiter == nullptr) return;
    spend(kEventUnits);
    static_cast<OpenCall*>(waiter)->handler().on_writable();
  }
}

}  // namespace hostcall::daemon
