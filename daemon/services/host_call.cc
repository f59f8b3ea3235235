#include "daemon/services/host_call.h"

#include <utility>

#include "daemon/calls/router.h"
#include "daemon/config/vm_record.h"
#include "handover/state.pb.h"
#include "proto/base/escape.h"

namespace hostcall::daemon {

HostCall::HostCall(const HostCallEnvironment& environment, const Method& method, const CallContext& context,
                   Charge memory)
    : environment_(environment),
      method_(method),
      caller_(context.caller),
      session_(context.session),
      share_(context.session.share()),
      memory_(std::move(memory)),
      timer_(environment.reactor, Callback::to<&HostCall::time_is_up>(this)) {}

void HostCall::on_drain() { end({Code::kUnavailable, "hostcalld is stopping"}); }

bool HostCall::check_order(std::string_view service_name) {
  if (has_service() == service_name.empty()) return true;
  end({Code::kInvalidArgument, has_service() ? "only the first message of " + method_.name + " names the service"
                                             : "the first message of " + method_.name + " must name the service"});
  return false;
}

Status HostCall::use_service(std::string_view name) {
  if (auto status = method_.check_resource(caller_, name); !status.ok()) return status;
  const Ask ask{.method = &method_, .resource = name};
  if (auto status = session_.authorize_message({&ask, 1}); !status.ok()) return status;
  if (!caller_.vm)
    return {Code::kFailedPrecondition,
            method_.name + " is for VMs, and the admin socket belongs to none; call it from a VM's socket"};
  std::shared_ptr<const ServiceRecord> found;
  if (auto status = environment_.catalog.find(name, found); !status.ok()) return status;
  if (auto status = check_kind(*found); !status.ok()) return status;
  resource = name;
  return take_place(std::move(found));
}

Status HostCall::take_place(std::shared_ptr<const ServiceRecord> found) {
  if (auto status = environment_.catalog.take(*found, caller_, environment_.reactor.now(), slot_); !status.ok())
    return status;
  service_ = std::move(found);
  timer_.cancel();
  begin_record();
  began_ = environment_.reactor.now();
  number_ = environment_.calls.add(*this);
  return {};
}

void HostCall::tell(handover::HostCall& out) const {
  if (!has_service()) return;
  const auto now = environment_.reactor.now();
  out.set_service(service_->name);
  out.set_digest(service_->digest);
  out.set_number(number_);
  out.set_age_ns((now - began_).count());
  if (timer_.deadline() != kNever) out.set_timer_ns((timer_.deadline() - now).count());
}

Status HostCall::take_service_again(const handover::HostCall& in) {
  std::shared_ptr<const ServiceRecord> found;
  if (auto status = environment_.catalog.find(in.service(), found); !status.ok()) return status;
  if (found->digest != in.digest())
    return {Code::kUnavailable, "hostcalld was restarted, and the service " + in_quotes(in.service()) +
                                    " is another one now, so the call has ended; its outcome is unknown"};
  const auto now = environment_.reactor.now();
  if (!environment_.calls.add_again(in.number(), *this))
    return {Code::kInternal, "hostcalld was restarted, and two calls have one number"};
  number_ = in.number();
  service_ = std::move(found);
  environment_.catalog.take_again(*service_, caller_, now, slot_);
  began_ = now - nanoseconds(in.age_ns());
  if (in.has_timer_ns()) timer_.set(now + nanoseconds(in.timer_ns()));
  return {};
}

// These calls are recorded unless the rule says otherwise.
void HostCall::begin_record() {
  const auto* rule = session_.allowed_by();
  if (rule != nullptr && !rule->audit.value_or(true)) return;
  record.emplace(rule, environment_.reactor.now());
}

void HostCall::describe(CallRecord& facts) const {
  facts.resource = resource;
  facts.is_program = runs_program();
  describe_use(facts);
}

HostCallInfo HostCall::info() const {
  CallRecord facts;
  describe_use(facts);
  return {.caller = caller_,
          .service = *service_,
          .place = std::move(facts.unit),
          .began = began_,
          .bytes_in = facts.bytes_in,
          .bytes_out = facts.bytes_out};
}

void HostCall::end_by_administrator() { end({Code::kCancelled, "ended by an administrator"}); }

HostWriter::Outcome HostCall::flush(HostWriter& writer) {
  const auto before = writer.written();
  const auto outcome = writer.flush(call());
  spend(static_cast<std::size_t>(writer.written() - before));
  return outcome;
}

Status HostCall::no_memory(std::string_view who) const {
  return over_limit(caller_, "memory_bytes", caller_.vm->quota.limits().memory_bytes,
                    std::string(who) + " " + in_quotes(service().name) + " reads slowly; send less at once");
}

Status HostCall::check_descriptor(int fd) const {
  if (environment_.descriptors.admits(fd)) return {};
  return {Code::kResourceExhausted, "the host's hostcalld has no file descriptor left for this call (of " +
                                        std::to_string(environment_.descriptors.limit()) +
                                        "); on the host, raise LimitNOFILE= of hostcalld.service"};
}

// False: it has ended already.
bool HostCall::begin_end() {
  if (std::exchange(over_, true)) return false;
  environment_.calls.remove(number_);
  timer_.cancel();
  stop_waiting();
  return true;
}

void HostCall::end(const Status& status) {
  if (begin_end()) call().finish(status);
}

void HostCall::end_with(const Status& status, std::string_view reply) {
  if (begin_end()) call().pass_on(status, reply);
}

void HostCall::time_is_up() {
  if (has_service()) return on_time();
  end({Code::kDeadlineExceeded, "the first message of " + method_.name + ", which names the service, did not come"});
}

Status check_service_name(std::string_view name) {
  if (is_name(name)) return {};
  return {
      Code::kInvalidArgument,
      in_quotes(name) + " is not a service's name: [a-z0-9][a-z0-9_.-]{0,63}; a server's methods are called instead"};
}

Status charge_host_call(const CallContext& context, Charge& memory) {
  memory = context.caller.charge(Resource::kMemory);
  if (memory.try_grow(HostCall::kOwnBytes)) return {};
  const auto& limits = context.caller.vm->quota.limits();
  return over_limit(context.caller, "memory_bytes", limits.memory_bytes, "end another call first");
}

}  // namespace hostcall::daemon
