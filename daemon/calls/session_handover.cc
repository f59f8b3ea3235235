// Session between two daemons: what the one before tells of its calls, and how the next one goes on with them.
#include <cstring>
#include <utility>

#include "daemon/calls/endpoint_messages.h"
#include "daemon/calls/session.h"
#include "daemon/handover/incoming.h"
#include "daemon/handover/outgoing.h"

namespace hostcall::daemon {
namespace {

constexpr char kNotCarried[] =
    "hostcalld is being restarted, and this call does not outlast it; its outcome is unknown";
constexpr char kUnknownCall[] = "hostcalld was restarted, and could not go on with this call; its outcome is unknown";

void fill_call(const OpenCall& call, TimePoint now, handover::Call& out) {
  const auto& handler = call.handler();
  out.set_stream(call.stream().id());
  out.set_method(call.method().name);
  if (call.deadline() != kNever) out.set_deadline_ns((call.deadline() - now).count());
  out.set_owes_first(call.owes_first());
  out.set_resource(handler.resource);
  if (!handler.record) return;
  auto& audit = *out.mutable_audit();
  audit.set_rule_file(handler.record->rule_file);
  audit.set_rule_line(handler.record->rule_line);
  audit.set_age_ns((now - handler.record->began).count());
}

std::optional<RecordBegin> record_of(const handover::Call& call, TimePoint now) {
  if (!call.has_audit()) return std::nullopt;
  RecordBegin record(nullptr, now - nanoseconds(call.audit().age_ns()));
  record.rule_file = call.audit().rule_file();
  record.rule_line = call.audit().rule_line();
  return record;
}

bool is_known(std::uint32_t state) { return state < static_cast<std::uint32_t>(Session::State::kRefused); }

}  // namespace

bool Session::has_unfinished() const {
  return std::ranges::any_of(open_, [](const auto& call) { return !call->handler().is_portable(); });
}

void Session::prepare_hand_over() {
  for_each_call([](OpenCall& call) {
    if (!call.handler().is_portable()) call.handler().on_drain();
  });
}

void Session::hand_over(handover::Connection& out, Outgoing& parcel) {
  for_each_call([](OpenCall& call) {
    if (!call.handler().is_portable()) call.finish({Code::kUnavailable, kNotCarried});
  });
  out.set_session(id_);
  out.set_state(static_cast<std::uint32_t>(state_));
  out.set_client(client_);
  out.set_boot_id(boot_id_);
  out.set_calls(calls_);
  out.set_is_last_call(refusal_ != nullptr);
  fill(endpoint_.state(), *out.mutable_endpoint());
  for (const auto& call : open_) {
    auto& told = *out.add_open_calls();
    fill_call(*call, environment_.reactor.now(), told);
    call->handler().hand_over(told, parcel);
  }
}

Status Session::resume(const handover::Connection& in, Incoming& parcel, const Status& objection) {
  if (!is_known(in.state()) || !endpoint_.resume_from(state_of(in.endpoint())))
    return {Code::kUnavailable, "hostcalld was restarted, and could not go on with this connection"};
  state_ = static_cast<State>(in.state());
  client_ = in.client();
  boot_id_ = in.boot_id();
  calls_ = in.calls();
  if (in.is_last_call()) refusal_ = std::make_unique<Status>(after_goaway());
  const auto& output = in.endpoint().unsent_output();
  if (!output.empty()) output.copy(endpoint_.output().extend(output.size()), output.size());
  for (const auto& call : in.open_calls()) {
    auto* stream = endpoint_.find(call.stream());
    if (stream == nullptr || stream->context != nullptr) continue;
    if (const auto status = objection.ok() ? resume_call(*stream, call, parcel) : objection; !status.ok())
      answer_with_room(*stream, status, {});
  }
  end_without_call({Code::kUnavailable, kUnknownCall});
  return {};
}

// Not OK: its answer.
Status Session::resume_call(wire::Stream& stream, const handover::Call& in, Incoming& parcel) {
  const auto now = environment_.reactor.now();
  const auto slash = in.method().find('/');
  const auto service = std::string_view(in.method()).substr(0, slash);
  const auto name = slash == std::string::npos ? std::string_view() : std::string_view(in.method()).substr(slash + 1);
  const Method* method = environment_.router.find(service, name);
  std::shared_ptr<Method> routed;
  if (method == nullptr) {
    routed = environment_.router.route(service, name, asked_shape(stream));
    method = routed.get();
  }
  if (method == nullptr) return {Code::kUnavailable, "hostcalld was restarted, and has no method " + in.method()};
  auto streams = caller_.charge(Resource::kStreams);
  if (!streams.try_grow(1))
    return over_limit(caller_, "streams", caller_.vm->quota.limits().streams, "hostcalld was restarted with less");
  const CallContext context{.caller = caller_,
                            .session = *this,
                            .now = now,
                            .deadline = in.has_deadline_ns() ? now + nanoseconds(in.deadline_ns()) : kNever,
                            .max_message_bytes = endpoint_.max_message_bytes()};
  Handler handler;
  if (auto status = method->resume(context, in, parcel, handler); !handler) return status;
  handler->resource = in.resource();
  handler->record = record_of(in, now);
  auto call = std::make_unique<OpenCall>(static_cast<CallOwner&>(*this), environment_.reactor, stream, *method,
                                         std::move(streams), context.deadline, std::move(routed));
  call->position = open_.size();
  open_.push_back(std::move(call));
  open_.back()->resume(std::move(handler), in.owes_first());
  return {};
}

// A stream whose call this build does not know.
void Session::end_without_call(const Status& status) {
  std::vector<wire::Stream*> streams;
  endpoint_.for_each_stream([&](wire::Stream& stream) {
    if (stream.context == nullptr) streams.push_back(&stream);
  });
  for (auto* stream : streams) answer_with_room(*stream, status, {});
}

}  // namespace hostcall::daemon
