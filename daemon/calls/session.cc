#include "daemon/calls/session.h"

#include <algorithm>
#include <utility>

#include "hostcall/v1/session.hostcall.h"
#include "proto/base/escape.h"

namespace hostcall::daemon {
namespace {

constexpr std::uint32_t kStreamWindow = 384 * 1024;
constexpr std::uint32_t kConnectionWindow = 1024 * 1024;
constexpr std::size_t kMaxHelloField = 64;
// A refused caller may send one small request.
constexpr std::uint32_t kRefusedMessageBytes = 4096;
constexpr std::uint32_t kAdminMessageBytes = wire::kMaxDataBytes;
// Room in a frame for the envelope around a payload.
constexpr std::size_t kEnvelopeBytes = 1024;

// Slow path: texts of refused calls.

[[gnu::cold]] Status no_such_method(const wire::RequestView& request) {
  return {Code::kUnimplemented, "no such method: " + escape(request.service) + "/" + escape(request.method) +
                                    "; Session/ListServices names those that may be called"};
}

[[gnu::cold]] Status wrong_shape(const Method& method, bool remote_open) {
  return {Code::kInvalidArgument, method.name + (remote_open ? " takes one request, not a stream of them"
                                                             : " takes a stream of requests: open it with the flag "
                                                               "remote open")};
}

[[gnu::cold]] Status came_too_late(const Method& method) {
  return {Code::kDeadlineExceeded, "the deadline of " + method.name + " had passed before it was sent"};
}

bool is_hello(const wire::RequestView& request) {
  using v1::Session::Hello;
  return request.method == Hello::kMethod && request.service == Hello::kService;
}

wire::EndpointOptions endpoint_options(const Caller& caller, bool refused, MemoryBudget& budget,
                                       wire::ChunkPool& chunks) {
  wire::EndpointOptions options{.role = wire::EndpointOptions::Role::kServer, .budget = &budget, .chunks = &chunks};
  options.max_message_bytes = caller.vm ? static_cast<std::uint32_t>(caller.vm->quota.limits().message_bytes)
                              : refused ? kRefusedMessageBytes
                                        : kAdminMessageBytes;
  options.output_watermark = caller.vm ? caller.vm->quota.limits().unread_reply_bytes : Limits{}.unread_reply_bytes;
  options.pause_output_bytes = options.output_watermark;
  return options;
}

}  // namespace

Session::Session(CallEnvironment& environment, const Caller& caller, std::uint64_t id, SessionOwner& owner,
                 Status refusal)
    : environment_(environment),
      caller_(caller),
      owner_(owner),
      access_(caller.vm && refusal.ok() ? environment.access.of(caller.vm) : nullptr),
      budget_(caller.charge(Resource::kMemory)),
      outbound_(caller.charge(Resource::kOutbound)),
      endpoint_(endpoint_options(caller, !refusal.ok(), budget_, environment.output_chunks), *this),
      id_(id) {
  if (refusal.ok()) return;
  state_ = State::kRefused;
  refusal_ = std::make_unique<Status>(std::move(refusal));
}

Session::~Session() = default;

// ---------------------------------------------------------------- a call begins

void Session::on_request(wire::Stream& stream, const wire::RequestView& request, bool remote_open) {
  ++calls_;
  ++environment_.stats.calls;
  if (refusal_) return answer_refused(stream);
  if (state_ == State::kNew && !is_hello(request)) state_ = State::kBase;
  if (caller_.vm) ++caller_.vm->calls;
  auto streams = caller_.charge(Resource::kStreams);
  if (!streams.try_grow(1)) return answer_too_many(stream);
  auto* method = environment_.router.find(request.service, request.method);
  if (const auto objection = object_to(method, request, remote_open)) return answer(stream, *objection);
  if (method->is_protocol) return answer_hello(stream, request.payload);
  start_call(stream, *method, request, std::move(streams));
}

void Session::answer_too_many(wire::Stream& stream) {
  const auto status =
      over_limit(caller_, "streams", caller_.vm->quota.limits().streams, "wait until one of the open calls has ended");
  limit_reached(status.message);
  answer(stream, status);
}

void Session::answer_refused(wire::Stream& stream) {
  answer(stream, *refusal_);
  if (state_ == State::kRefused) owner_.finish_soon();
}

// The reason to refuse a call before its payload is parsed, if there is one.
std::optional<Status> Session::object_to(const Method* method, const wire::RequestView& request, bool remote_open) {
  // An administrator may also call the methods for guests. A guest never sees Admin.
  if (method == nullptr || (method->audience == Audience::kAdmin && caller_.audience != Audience::kAdmin))
    return no_such_method(request);
  if (remote_open != wire::client_streams(method->shape)) return wrong_shape(*method, remote_open);
  if (request.timeout_nano < 0) return came_too_late(*method);
  if (!output_has_room(0))
    return over_limit(caller_, "outbound_bytes", caller_.vm->quota.limits().outbound_bytes, "read the replies first");
  // If the method has a resource, policy decides once the request is parsed.
  if (method->has_resource() || !access_) return std::nullopt;
  auto decision = access_->decide(*method, {}, caller_.privileged_port(), environment_.reactor.now());
  if (decision.status.ok()) return std::nullopt;
  if (decision.status.code == Code::kPermissionDenied)
    note_denial(*method, decision);
  else
    limit_reached(decision.status.message);
  return std::move(decision.status);
}

bool Session::may(const Method& method, std::string_view resource) const {
  return !access_ || access_->allows(method, resource, caller_.privileged_port());
}

Status Session::authorize(const Method& method, std::string_view resource) {
  if (!access_) return {};
  auto decision = access_->decide(method, resource, caller_.privileged_port(), environment_.reactor.now());
  // The end of the call reports an exhausted rate, as it does any limit that a handler reaches.
  if (decision.status.code == Code::kPermissionDenied) note_denial(method, decision);
  return std::move(decision.status);
}

void Session::note_denial(const Method& method, const VmAccess::Decision& decision) {
  ++environment_.stats.calls_denied;
  ++caller_.vm->denied;
  environment_.audit.call_denied(caller_, method.name, decision.verdict, decision.status.message,
                                 environment_.reactor.now());
}

TimePoint Session::deadline_of(const Method& method, const wire::RequestView& request) const {
  const auto& timeouts = environment_.config.timeouts;
  // A stream without a deadline is meant to last.
  const Duration unnamed = method.shape == wire::Shape::kUnary ? timeouts.call_default : timeouts.call_max;
  const Duration wanted = request.timeout_nano == 0 ? unnamed : nanoseconds(request.timeout_nano);
  return deadline_after(environment_.reactor.now(), std::min(wanted, timeouts.call_max));
}

void Session::start_call(wire::Stream& stream, Method& method, const wire::RequestView& request, Charge streams) {
  const CallContext context{.caller = caller_,
                            .session = *this,
                            .now = environment_.reactor.now(),
                            .deadline = deadline_of(method, request),
                            .max_message_bytes = endpoint_.max_message_bytes()};
  Handler handler;
  const auto answered = method.start(context, request.payload, handler);
  if (answered.status.code == Code::kResourceExhausted) limit_reached(answered.status.message);
  if (!handler) return answer(stream, answered.status, answered.reply);
  auto call = std::make_unique<OpenCall>(static_cast<CallOwner&>(*this), environment_.reactor, stream, method,
                                         std::move(streams), context.deadline);
  call->position = open_.size();
  open_.push_back(std::move(call));
  open_.back()->run(std::move(handler));
}

void Session::limit_reached(std::string_view text) {
  ++environment_.stats.calls_limited;
  environment_.audit.limit_reached(caller_, text, environment_.reactor.now());
}

// ---------------------------------------------------------------- a call goes on

void Session::on_data(wire::Stream& stream, std::string_view data) {
  static_cast<OpenCall*>(stream.context)->handler().on_message(data);
}

void Session::on_remote_closed(wire::Stream& stream) {
  static_cast<OpenCall*>(stream.context)->handler().on_remote_closed();
}

void Session::on_writable(wire::Stream& stream) { static_cast<OpenCall*>(stream.context)->handler().on_writable(); }

void Session::on_cancel(wire::Stream& stream, Code) {
  remove(*static_cast<OpenCall*>(stream.context));
  endpoint_.forget(stream);
}

// A message exceeds a limit. Only its call ends.
void Session::on_refused(wire::Stream& stream, wire::Refusal refusal, wire::FrameType type) {
  if (refusal_ && type == wire::FrameType::kRequest) return answer_refused(stream);
  const bool too_large = refusal == wire::Refusal::kTooLarge;
  const auto limit = too_large    ? endpoint_.max_message_bytes()
                     : caller_.vm ? caller_.vm->quota.limits().memory_bytes
                                  : 0;
  const auto status = over_limit(caller_, too_large ? "message_bytes" : "memory_bytes", limit,
                                 too_large ? "send a smaller message" : "send less at once");
  if (type != wire::FrameType::kRequest) return static_cast<OpenCall*>(stream.context)->finish(status);
  limit_reached(status.message);
  answer(stream, status);
}

// A client that sends Goaway makes no more calls: the connection ends with its last open call.
void Session::on_goaway(const wire::Goaway&) {
  if (!refusal_)
    refusal_ = std::make_unique<Status>(Status{Code::kUnavailable, "a call after the client's own Goaway"});
  if (open_.empty()) owner_.finish_soon();
}

// ---------------------------------------------------------------- a call ends

void Session::answer(wire::Stream& stream, const Status& status, const wire::Payload& reply) {
  owner_.flush_soon();
  const bool fits = reply.size() <= wire::kMaxDataBytes - kEnvelopeBytes && output_has_room(reply.size());
  if (fits || !status.ok())
    endpoint_.respond(stream, status, reply);
  else
    endpoint_.respond(stream, no_room_for(reply.size()));
  settle_output();
}

Status Session::no_room_for(std::size_t reply_bytes) const {
  if (reply_bytes > wire::kMaxDataBytes - kEnvelopeBytes)
    return {Code::kResourceExhausted,
            "the reply has " + std::to_string(reply_bytes) + " bytes, more than a message can hold"};
  return over_limit(caller_, "outbound_bytes", caller_.vm->quota.limits().outbound_bytes,
                    "the call was made, but its reply does not fit; read the replies first");
}

// Removes a call from the list. It dies at the end of the turn, because its handler may be running.
void Session::remove(OpenCall& call) {
  call.close();
  const auto position = call.position;
  auto dead = std::exchange(open_[position], std::move(open_.back()));
  open_.pop_back();
  if (position < open_.size()) open_[position]->position = position;
  environment_.reactor.retire(std::move(dead));
  if (open_.empty() && refusal_) owner_.finish_soon();
}

wire::SendOutcome Session::send_message(OpenCall& call, const wire::Payload& message) {
  if (!output_has_room(message.size())) {
    call.finish({Code::kResourceExhausted, call.method().name + ": the VM's limit outbound_bytes (" +
                                               std::to_string(caller_.vm->quota.limits().outbound_bytes) +
                                               ") is used up by replies that it has not read"});
    return wire::SendOutcome::kEnded;
  }
  const auto outcome = endpoint_.send_data(call.stream(), message);
  if (outcome == wire::SendOutcome::kSent) settle_output();
  owner_.flush_soon();
  return outcome;
}

void Session::end_call(OpenCall& call, const Status& status, const wire::Payload& reply) {
  if (status.code == Code::kResourceExhausted) limit_reached(status.message);
  auto& stream = call.stream();
  remove(call);
  if (!status.ok() || !wire::server_streams(call.method().shape)) return answer(stream, status, reply);
  endpoint_.close_stream(stream);
  owner_.flush_soon();
}

void Session::give_credit(OpenCall& call, std::size_t message_bytes) {
  endpoint_.consumed(call.stream(), message_bytes);
  owner_.flush_soon();
}

void Session::on_deadline(OpenCall& call) {
  ++environment_.stats.calls_timed_out;
  call.finish({Code::kDeadlineExceeded, call.method().name + " did not finish before the call's deadline"});
}

// Copies the list, because some calls end and change it.
void Session::drain_calls() {
  std::vector<OpenCall*> calls;
  for (const auto& call : open_) calls.push_back(call.get());
  for (auto* call : calls)
    if (!call->over()) call->handler().on_drain();
}

void Session::drop_calls() {
  while (!open_.empty()) {
    auto& call = *open_.back();
    auto& stream = call.stream();
    remove(call);
    endpoint_.forget(stream);
  }
}

void Session::end_calls(const Status& status) {
  while (!open_.empty()) open_.back()->finish(status);
}

void Session::stop_accepting(wire::GoawayReason reason, std::uint32_t retry_after_ms, std::string_view text) {
  if (state_ == State::kRefused) return;
  refusal_ = std::make_unique<Status>(Status{Code::kUnavailable, std::string(text), milliseconds(retry_after_ms)});
  endpoint_.send_goaway(reason, retry_after_ms, text);
  owner_.flush_soon();
}

// ---------------------------------------------------------------- Hello

// The extension applies from the first byte after Hello's reply.
void Session::answer_hello(wire::Stream& stream, std::string_view payload) {
  v1::HelloRequest request;
  if (!parse_message(payload, request)) return answer(stream, unparseable(v1::Session::Hello::kFullName));
  if (const auto objection = object_to_hello(request); !objection.ok()) return answer(stream, objection);
  const wire::Extension extension{.features = request.features() & wire::kAllFeatures,
                                  .stream_window = kStreamWindow,
                                  .connection_window = kConnectionWindow};
  v1::HelloResponse response;
  fill_agreement(extension, response);
  if (!output_has_room(response.ByteSizeLong())) return answer(stream, no_room_for(response.ByteSizeLong()));
  state_ = State::kExtended;
  client_ = escape(request.client_name() + " " + request.client_version());
  if (caller_.vm) note_boot_id(request);
  answer(stream, {}, payload_of(response));
  endpoint_.enable(extension);
}

Status Session::object_to_hello(const v1::HelloRequest& request) const {
  if (state_ != State::kNew) return {Code::kFailedPrecondition, "Hello must be the first call of a connection"};
  for (const auto* field :
       {&request.client_name(), &request.client_version(), &request.boot_id(), &request.vm_generation()})
    if (field->size() > kMaxHelloField)
      return {Code::kInvalidArgument, "a text in Hello has " + std::to_string(field->size()) + " bytes, at most " +
                                          std::to_string(kMaxHelloField) + " are allowed"};
  return {};
}

void Session::fill_agreement(const wire::Extension& extension, v1::HelloResponse& response) const {
  const auto& limits = caller_.vm ? caller_.vm->quota.limits() : environment_.config.limits;
  response.set_features(extension.features);
  response.set_session_id(id_);
  response.set_daemon_epoch(environment_.daemon_epoch);
  response.set_vm_name(caller_.name());
  response.set_max_message_bytes(endpoint_.max_message_bytes());
  response.set_max_streams(static_cast<std::uint32_t>(limits.streams));
  const auto heartbeat = std::chrono::duration_cast<milliseconds>(environment_.config.timeouts.heartbeat).count();
  response.set_heartbeat_interval_ms(static_cast<std::uint32_t>(heartbeat));
  response.set_initial_stream_window(extension.stream_window);
  response.set_initial_connection_window(extension.connection_window);
  response.set_daemon_version(HOSTCALL_VERSION);
}

void Session::note_boot_id(const v1::HelloRequest& request) {
  auto boot_id = escape(request.boot_id());
  if (!request.vm_generation().empty()) boot_id.append(1, '/').append(escape(request.vm_generation()));
  auto& vm = *caller_.vm;
  if (boot_id.empty() || boot_id == vm.boot_id) return;
  const bool again = !std::exchange(vm.boot_id, std::move(boot_id)).empty();
  owner_.booted(again);
}

// ---------------------------------------------------------------- what handlers ask

void Session::list_allowed(v1::ListServicesResponse& response) const {
  if (access_) return access_->list_allowed(environment_.router, caller_.privileged_port(), response);
  for (const auto& method : environment_.router.methods()) response.add_methods()->set_method(method->name);
  std::sort(response.mutable_methods()->begin(), response.mutable_methods()->end(),
            [](const auto& a, const auto& b) { return a.method() < b.method(); });
}

}  // namespace hostcall::daemon
