// Session: the calls of one connection. Handles the engine's events: charges the VM, finds the method, asks Access,
// starts the call and sends its answer. Answers Hello itself, because Hello belongs to the protocol. Knows no
// descriptor: Connection moves the bytes and enforces the connection's deadlines.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "daemon/calls/environment.h"
#include "daemon/calls/open_call.h"
#include "proto/wire/endpoint.h"

namespace hostcall::daemon {

// What a session asks its connection to do. Its engine hands it large messages to send where they lie.
class SessionOwner : public wire::DirectSender {
 public:
  // Send the output at the end of this turn. Also called when the engine is suspended.
  virtual void flush_soon() = 0;
  // The session is finished: send the rest of the output and close.
  virtual void finish_soon() = 0;
  // The caller's VM has a new boot_id. `again`: it had another one before.
  virtual void booted(bool again) = 0;

 protected:
  ~SessionOwner() = default;
};

// Charges the VM for incomplete frames.
class MemoryBudget final : public wire::Budget {
 public:
  explicit MemoryBudget(Charge charge) : charge_(std::move(charge)) {}
  bool try_charge(std::size_t bytes) override { return charge_.try_grow(bytes); }
  void release(std::size_t bytes) override { charge_.shrink(bytes); }

 private:
  Charge charge_;
};

// As far as the Request tells: whether the reply to a stream is one message, it does not.
inline wire::Shape asked_shape(const wire::Stream& stream) {
  if (stream.remote_open) return wire::Shape::kBidiStream;
  return stream.said_closed ? wire::Shape::kServerStream : wire::Shape::kUnary;
}

// For Session::decide_calls_again().
inline constexpr std::size_t kAllCalls = ~std::size_t{0};

class Session final : public SessionFacts, private wire::EndpointEvents, private CallOwner {
 public:
  enum class State : std::uint8_t {
    kNew,       // no call yet
    kBase,      // plain ttrpc
    kExtended,  // Hello agreed
    kRefused,   // answers every call with the same status and ends
  };

  // `caller` must outlive the session. A refusal that is not OK answers every call.
  Session(CallEnvironment& environment, const Caller& caller, std::uint64_t id, SessionOwner& owner, Status refusal);
  ~Session();

  wire::Endpoint& endpoint() { return endpoint_; }
  const wire::Endpoint& endpoint() const { return endpoint_; }
  State state() const { return state_; }
  std::uint64_t calls() const { return calls_; }
  const std::string& client() const { return client_; }
  std::size_t open_calls() const { return open_.size(); }
  Share& share() override { return share_; }

  // Charges the VM for unsent output. Call after each send. Charges beyond the limit too, because the output exists
  // already; output_has_room() keeps it below.
  void settle_output() { outbound_.set(endpoint_.output().bytes()); }
  // Whether wake_for_room() has something to do: calls that had no room for a message of their streams have it now.
  bool has_room_again() const { return !has_room_.empty(); }
  void wake_for_room();
  // Refuses new calls and sends Goaway.
  void stop_accepting(wire::GoawayReason reason, std::uint32_t retry_after_ms, std::string_view text);
  // Tells the open calls that the daemon is stopping.
  void drain_calls();
  // Forgets the open calls, because the connection is gone. Their handlers die before it does, and so before the VM
  // that they are charged to.
  void drop_calls();
  // Policy has changed: ends the open calls that it denies now. Takes what that costs off `units`, and goes on until
  // they are used up, with the first `left` calls (kAllCalls: it begins). True: it has looked at all.
  bool decide_calls_again(std::size_t& left, Units& units);
  // Ends all open calls with the status.
  void end_calls(const Status& status);
  // Destroys the calls that have ended, and so gives back what they were charged for. Not from within a handler.
  void bury_calls();

  // --- another daemon goes on; session_handover.cc ---
  // Whether calls are open that can't be handed over, but may finish soon.
  bool has_unfinished() const;
  // Ends the calls that would not finish soon.
  void prepare_hand_over();
  // Ends the calls that can't be handed over, and tells the other daemon what it needs for the others.
  void hand_over(handover::Connection& out, Outgoing& parcel);
  // This session, which is new, goes on where another one was. Its open calls do only if there is no `objection`; an
  // objection ends them. Not OK: why it can't go on at all.
  [[nodiscard]] Status resume(const handover::Connection& in, Incoming& parcel, const Status& objection);

  // SessionFacts
  std::uint64_t session_id() const override { return id_; }
  const std::string& boot_id() const override { return boot_id_; }
  std::size_t list_allowed(v1::ListServicesResponse& response) const override;
  Status authorize(std::span<const Ask> calls, std::size_t writes) override;
  Status authorize_message(std::span<const Ask> calls) override;
  const Rule* allowed_by() const override { return access_ ? access_->allowed_by() : nullptr; }
  bool may(const Ask& ask, std::size_t& looked_at) const override;
  std::size_t max_reply_bytes() const override;
  // Suspends the engine when the share is used up.
  void spend(Units units) override {
    if (!environment_.reactor.work().spend(share_, units)) out_of_turn();
  }

 private:
  // EndpointEvents
  void on_request(wire::Stream& stream, const wire::RequestView& request, bool remote_open) override;
  void on_response(wire::Stream&, const wire::ResponseView&) override {}  // only a client gets these
  void on_data(wire::Stream& stream, std::string_view data) override;
  void on_remote_closed(wire::Stream& stream) override;
  void on_refused(wire::Stream& stream, wire::Refusal refusal, wire::FrameType type) override;
  void on_cancel(wire::Stream& stream, Code code) override;
  void on_writable(wire::Stream& stream) override;
  void on_goaway(const wire::Goaway& goaway) override;

  // CallOwner
  Status reserve_reply(OpenCall& call, std::size_t bytes) override;
  wire::SendOutcome send_message(OpenCall& call, const wire::Payload& message) override;
  bool may_send(OpenCall& call, std::size_t bytes) override;
  void end_call(OpenCall& call, const Status& status, const wire::Payload& reply) override;
  void pass_on_end(OpenCall& call, const Status& status, std::string_view reply) override;
  void has_room(OpenCall& call) override {
    has_room_.push_back(call);
    owner_.flush_soon();
  }
  void give_credit(OpenCall& call, std::size_t message_bytes) override;
  void keep_message(OpenCall& call, std::size_t message_bytes) override;
  void on_deadline(OpenCall& call) override;

  std::optional<Status> object_to(const Method* method, const wire::RequestView& request, bool remote_open);
  void spend_on_rules();
  [[gnu::cold]] void note_refusal(const Refusal& refusal);
  [[gnu::cold]] void refuse_for_limit(const Status& status);
  TimePoint deadline_of(const Method& method, const wire::RequestView& request) const;
  void start_call(wire::Stream& stream, Method& method, const wire::RequestView& request, Charge streams,
                  std::shared_ptr<Method> routed);
  [[gnu::cold]] void answer_refused(wire::Stream& stream);
  [[gnu::cold]] void answer_too_many(wire::Stream& stream);
  void answer(wire::Stream& stream, const Status& status, const wire::Payload& reply = {});
  // The same, and counts the call, which took no longer than this turn.
  void answer_at_once(wire::Stream& stream, const Method& method, const Status& status,
                      const wire::Payload& reply = {});
  [[gnu::cold]] void refuse_at_once(wire::Stream& stream, MethodCounts& counts, const Status& status);
  [[gnu::cold]] void time_answer(const Method& method);
  void out_of_turn();
  void answer_with_room(wire::Stream& stream, const Status& status, const wire::Payload& reply);
  void limit_reached(const Status& status);
  // Refuses a call before it is made; or a reply, of which `what` does not fit.
  [[gnu::cold]] Status no_room() const;
  [[gnu::cold]] Status no_room_for(std::size_t reply_bytes, std::string_view what) const;
  bool output_has_room(std::size_t bytes) const {
    return !caller_.vm || caller_.vm->quota.left(Resource::kOutbound) > bytes;
  }
  bool fits(std::size_t reply_bytes) const;
  wire::SendOutcome ready_to_send(OpenCall& call, std::size_t message_bytes);
  bool has_room_for(const OpenCall& call, std::size_t message_bytes) const;
  [[gnu::cold]] wire::SendOutcome wait_for_room(OpenCall& call, std::size_t message_bytes);
  void answer_hello(wire::Stream& stream, const Method& method, std::string_view payload);
  Status object_to_hello(const v1::HelloRequest& request) const;
  void fill_agreement(const wire::Extension& extension, v1::HelloResponse& response) const;
  void note_boot_id(const v1::HelloRequest& request);
  // Copies the list, because some calls may end and change it.
  template <class Visit>
  void for_each_call(Visit visit) {
    std::vector<OpenCall*> calls;
    for (const auto& call : open_) calls.push_back(call.get());
    for (auto* call : calls)
      if (!call->over()) visit(*call);
  }
  static Status after_goaway() { return {Code::kUnavailable, "a call after the client's own Goaway"}; }
  Status resume_call(wire::Stream& stream, const handover::Call& in, Incoming& parcel);
  void end_without_call(const Status& status);
  Units decide_again(OpenCall& call);
  void remove(OpenCall& call, Code outcome);
  void count_ended(const OpenCall& call, Code outcome);
  [[gnu::cold]] void write_record(const Method& method, const RecordBegin& begin, Code outcome,
                                  const CallHandler* handler);
  bool is_recorded() const {
    return access_ && access_->allowed_by() != nullptr && access_->allowed_by()->audit.value_or(false);
  }

  CallEnvironment& environment_;
  const Caller& caller_;
  SessionOwner& owner_;
  Share& share_;
  VmCounts& counts_;
  std::optional<VmAccess> access_;  // nothing for administrators and the refused
  MemoryBudget budget_;
  Charge outbound_;
  wire::Endpoint endpoint_;
  LinkedList<RoomWaiter> has_room_;  // open calls that must be told so
  std::vector<std::unique_ptr<OpenCall>> open_;
  std::vector<std::unique_ptr<OpenCall>> ended_;  // a handler of these may be running
  std::unique_ptr<Status> refusal_;               // set in kRefused and once new calls are refused
  std::string client_;
  std::string boot_id_;
  std::uint64_t id_;
  std::uint64_t calls_ = 0;
  State state_ = State::kNew;
  bool refusal_noted_ = false;  // of the call that starts now, or whose message is served now
};

}  // namespace hostcall::daemon
