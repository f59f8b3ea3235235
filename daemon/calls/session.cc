#include "daemon/calls/session.h"

#include <algorithm>
#include <utility>

#include "daemon/calls/session_units.h"
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
                                       wire::ChunkPool& chunks, wire::DirectSender& sender) {
  wire::EndpointOptions options{
      .role = wire::EndpointOptions::Role::kServer, .budget = &budget, .chunks = &chunks, .sender = &sender};
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
      share_(environment.share_of(caller)),
      counts_(environment.counts_of(caller)),
      budget_(caller.charge(Resource::kMemory)),
      outbound_(caller.charge(Resource::kOutbound)),
      endpoint_(endpoint_options(caller, !refusal.ok(), budget_, environment.output_chunks, owner), *this),
      id_(id) {
  if (refusal.ok()) {
    if (caller.vm) access_.emplace(environment.access.of(*caller.vm, caller.privileged_port()));
    return;
  }
  state_ = State::kRefused;
  refusal_ = std::make_unique<Status>(std::move(refusal));
}

// The session's own unsent output may be what its calls wait for.
Session::~Session() {
  for (const auto& call : open_) call->forget_waiting();
}

// ---------------------------------------------------------------- a call begins

void Session::on_request(wire::Stream& stream, const wire::RequestView& request, bool remote_open) {
  ++calls_;
  ++environment_.stats.calls;
  spend(units_of_request(request.payload.size(), request.data.size() - request.payload.size()));
  // No handler runs while a request arrives. A caller that ends a call and begins another has the first one's place.
  bury_calls();
  if (refusal_) return answer_refused(stream);
  if (state_ == State::kNew && !is_hello(request)) state_ = State::kBase;
  ++counts_.calls;
  auto streams = caller_.charge(Resource::kStreams);
  if (!streams.try_grow(1)) return answer_too_many(stream);
  auto* method = environment_.router.find(request.service, request.method);
  std::shared_ptr<Method> routed;
  if (method == nullptr) [[unlikely]] {
    spend(kEventUnits);
    routed = environment_.router.route(request.service, request.method, asked_shape(stream));
    method = routed.get();
  }
  if (const auto objection = object_to(method, request, remote_open)) {
    auto& counts = method != nullptr ? *method->counts : environment_.router.tally().unknown;
    return refuse_at_once(stream, counts, *objection);
  }
  if (method->is_protocol) return answer_hello(stream, *method, request.payload);
  start_call(stream, *method, request, std::move(streams), std::move(routed));
}

void Session::answer_too_many(wire::Stream& stream) {
  const auto status =
      over_limit(caller_, "streams", caller_.vm->quota.limits().streams, "wait until one of the open calls has ended");
  limit_reached(status);
  refuse_at_once(stream, environment_.router.tally().refused, status);
}

void Session::answer_refused(wire::Stream& stream) {
  refuse_at_once(stream, environment_.router.tally().refused, *refusal_);
  if (state_ == State::kRefused) owner_.finish_soon();
}

// The reason to refuse a call before its payload is parsed, if there is one.
std::optional<Status> Session::object_to(const Method* method, const wire::RequestView& request, bool remote_open) {
  // An administrator may also call the methods for guests. A guest never sees Admin.
  if (method == nullptr || (method->audience == Audience::kAdmin && caller_.audience != Audience::kAdmin))
    return no_such_method(request);
  if (remote_open != wire::client_streams(method->shape)) return wrong_shape(*method, remote_open);
  if (request.timeout_nano < 0) return came_too_late(*method);
  if (!output_has_room(0)) return no_room();
  if (!access_) return std::nullopt;
  access_->begin();
  if (method->decided_by_request()) return std::nullopt;
  const Ask ask{.method = method, .resource = {}};
  auto refusal = access_->decide({&ask, 1}, 0, environment_.reactor.now());
  spend_on_rules();
  if (!refusal) return std::nullopt;
  note_refusal(*refusal);
  return std::move(refusal->status);
}

// Nearly always one or two rules decide, which is part of what a call costs.
void Session::spend_on_rules() {
  if (access_->looked_at() >= kRulesPerUnit) [[unlikely]]
    spend(static_cast<Units>(access_->take_looked_at() / kRulesPerUnit));
}

bool Session::may(const Ask& ask, std::size_t& looked_at) const { return !access_ || access_->allows(ask, looked_at); }

Status Session::authorize(std::span<const Ask> calls, std::size_t writes) {
  if (!access_) return {};
  auto refusal = access_->decide(calls, writes, environment_.reactor.now());
  spend_on_rules();
  if (!refusal) return {};
  note_refusal(*refusal);
  refusal_noted_ = true;
  return std::move(refusal->status);
}

Status Session::authorize_message(std::span<const Ask> calls) {
  if (access_) access_->begin();
  return authorize(calls, 0);
}

// Records it as the operator shall see it.
void Session::note_refusal(const Refusal& refusal) {
  if (refusal.denial) {
    ++environment_.stats.calls_denied;
    ++counts_.denied;
    environment_.audit.call_denied(caller_, refusal.method->name, *refusal.denial, refusal.record,
                                   environment_.reactor.now());
  } else {
    limit_reached({Code::kResourceExhausted, refusal.record, {}, {}, refusal.status.limit});
  }
}

TimePoint Session::deadline_of(const Method& method, const wire::RequestView& request) const {
  const auto& timeouts = environment_.config.timeouts;
  const bool is_named = request.timeout_nano != 0;
  // A streamed reply is meant to last.
  if (!is_named && wire::server_streams(method.shape)) return kNever;
  const Duration unnamed = method.shape == wire::Shape::kUnary ? timeouts.call_default : timeouts.call_max;
  const Duration wanted = is_named ? nanoseconds(request.timeout_nano) : unnamed;
  return deadline_after(environment_.reactor.now(), method.lasts() ? wanted : std::min(wanted, timeouts.call_max));
}

// `routed`: the method, if it lives as long as its calls.
void Session::start_call(wire::Stream& stream, Method& method, const wire::RequestView& request, Charge streams,
                         std::shared_ptr<Method> routed) {
  const CallContext context{.caller = caller_,
                            .session = *this,
                            .now = environment_.reactor.now(),
                            .deadline = deadline_of(method, request),
                            .max_message_bytes = endpoint_.max_message_bytes(),
                            .request = &request};
  Handler handler;
  refusal_noted_ = false;
  const auto answered = method.start(context, request.payload, handler);
  if (answered.status.code == Code::kResourceExhausted) refuse_for_limit(answered.status);
  if (is_recorded()) [[unlikely]] {
    RecordBegin record(access_->allowed_by(), environment_.reactor.now());
    if (!handler)
      write_record(method, record, answered.status.code, nullptr);
    else if (!handler->record)
      handler->record = std::move(record);
  }
  if (!handler) return answer_at_once(stream, method, answered.status, answered.reply);
  auto call = std::make_unique<OpenCall>(static_cast<CallOwner&>(*this), environment_.reactor, stream, method,
                                         std::move(streams), context.deadline, std::move(routed));
  call->position = open_.size();
  auto& opened = *call;
  open_.push_back(std::move(call));
  opened.run(std::move(handler));
  // A stream's first message may come with its Request.
  if (wire::client_streams(method.shape) && !request.payload.empty()) opened.take_first(request.payload);
  refusal_noted_ = false;
}

// `handler`: null if the call was answered at once.
void Session::write_record(const Method& method, const RecordBegin& begin, Code outcome, const CallHandler* handler) {
  const auto now = environment_.reactor.now();
  if (!environment_.audit.takes_call(caller_, handler != nullptr && handler->runs_program(), now)) return;
  CallRecord record{
      .call = method.name, .rule = begin.rule(), .outcome = wire::code_name(outcome), .began = begin.began};
  if (handler != nullptr) handler->describe(record);
  environment_.audit.write_call(caller_, record, now);
}

// A call that a limit refuses takes nothing off a rate.
void Session::refuse_for_limit(const Status& status) {
  if (refusal_noted_) return;
  limit_reached(status);
  if (access_) access_->give_back();
}

void Session::limit_reached(const Status& status) {
  count_reason(environment_.stats.limits_hit, status.limit);
  ++counts_.limited;
  environment_.audit.limit_reached(caller_, status.message, environment_.reactor.now());
}

// ---------------------------------------------------------------- a call goes on

void Session::on_data(wire::Stream& stream, std::string_view data) {
  spend(units_of_message(data.size()));
  refusal_noted_ = false;
  static_cast<OpenCall*>(stream.context)->handler().on_message(data);
  refusal_noted_ = false;
}

void Session::on_remote_closed(wire::Stream& stream) {
  spend(kEventUnits);
  static_cast<OpenCall*>(stream.context)->handler().on_remote_closed();
}

void Session::on_writable(wire::Stream& stream) {
  spend(kEventUnits);
  static_cast<OpenCall*>(stream.context)->handler().on_writable();
}

void Session::on_cancel(wire::Stream& stream, Code) {
  spend(kEventUnits);
  remove(*static_cast<OpenCall*>(stream.context), Code::kCancelled);
  endpoint_.forget(stream);
}

// A message exceeds a limit. Only its call ends.
void Session::on_refused(wire::Stream& stream, wire::Refusal refusal, wire::FrameType type) {
  spend(kEventUnits);
  if (refusal_ && type == wire::FrameType::kRequest) return answer_refused(stream);
  const bool too_large = refusal == wire::Refusal::kTooLarge;
  const auto limit = too_large    ? endpoint_.max_message_bytes()
                     : caller_.vm ? caller_.vm->quota.limits().memory_bytes
                                  : 0;
  const auto status = over_limit(caller_, too_large ? "message_bytes" : "memory_bytes", limit,
                                 too_large ? "send a smaller message" : "send less at once");
  if (type != wire::FrameType::kRequest) return static_cast<OpenCall*>(stream.context)->finish(status);
  limit_reached(status);
  refuse_at_once(stream, environment_.router.tally().refused, status);
}

// A client that sends Goaway makes no more calls: the connection ends with its last open call.
void Session::on_goaway(const wire::Goaway&) {
  if (!refusal_) refusal_ = std::make_unique<Status>(after_goaway());
  if (open_.empty()) owner_.finish_soon();
}

// ---------------------------------------------------------------- a call ends

// This session has used up its share for now. Its connection waits for more and goes on then.
void Session::out_of_turn() {
  endpoint_.suspend();
  owner_.flush_soon();
}

// Removes a call from the list. It dies later, because its handler may be running.
void Session::remove(OpenCall& call, Code outcome) {
  call.close();
  count_ended(call, outcome);
  const auto& handler = call.handler();
  if (handler.record) write_record(call.method(), *handler.record, outcome, &handler);
  const auto position = call.position;
  auto dead = std::exchange(open_[position], std::move(open_.back()));
  open_.pop_back();
  if (position < open_.size()) open_[position]->position = position;
  ended_.push_back(std::move(dead));
  if (open_.empty() && refusal_) owner_.finish_soon();
}

// What a destructor ends meanwhile is for the next time.
void Session::bury_calls() {
  if (ended_.empty()) return;
  const auto dead = std::exchange(ended_, {});
}

void Session::end_call(OpenCall& call, const Status& status, const wire::Payload& reply) {
  if (status.code == Code::kResourceExhausted && !refusal_noted_) limit_reached(status);
  auto& stream = call.stream();
  const auto room = std::move(call.reply_room);  // kept until the reply is charged
  const bool has_room = room.amount() >= reply.size() && reply.size() != 0;
  remove(call, status.code);
  if (has_room && status.ok()) return answer_with_room(stream, status, reply);
  if (!status.ok() || !wire::server_streams(call.method().shape)) return answer(stream, status, reply);
  endpoint_.close_stream(stream);
  owner_.flush_soon();
}

// A limit of the service is none of ours.
void Session::pass_on_end(OpenCall& call, const Status& status, std::string_view reply) {
  auto& stream = call.stream();
  remove(call, status.code);
  if (fits(status.details.size())) return answer(stream, status, reply);
  answer(stream, {status.code, status.message + " (its details do not fit; read the replies first)", {}, {}});
}

void Session::give_credit(OpenCall& call, std::size_t message_bytes) {
  endpoint_.consumed(call.stream(), message_bytes);
  owner_.flush_soon();
}

void Session::keep_message(OpenCall& call, std::size_t message_bytes) {
  endpoint_.kept(call.stream(), message_bytes);
  owner_.flush_soon();
}

void Session::on_deadline(OpenCall& call) {
  ++environment_.stats.calls_timed_out;
  call.finish(
      {Code::kDeadlineExceeded, call.method().name + " did not finish before the deadline; its outcome is unknown"});
}

void Session::drain_calls() {
  for_each_call([](OpenCall& call) { call.handler().on_drain(); });
}

void Session::drop_calls() {
  while (!open_.empty()) {
    auto& call = *open_.back();
    auto& stream = call.stream();
    remove(call, Code::kCancelled);
    endpoint_.forget(stream);
  }
}

// From the last to the first: the place of a call that ends meanwhile goes to the last one, which has been looked at.
bool Session::decide_calls_again(std::size_t& left, Units& units) {
  left = access_ ? std::min(left, open_.size()) : 0;
  while (left != 0 && units > 0) {
    units -= decide_again(*open_[left - 1]);
    left = std::min(left - 1, open_.size());
  }
  return left == 0;
}

// Returns what it has cost.
Units Session::decide_again(OpenCall& call) {
  if (!call.handler().may_be_ended()) return kEventUnits;
  std::size_t rules = 0;
  const auto refusal = access_->decide_again({.method = &call.method(), .resource = call.handler().resource}, rules);
  if (refusal) {
    note_refusal(*refusal);
    call.finish(refusal->status);
  }
  return kEventUnits + static_cast<Units>(rules / kRulesPerUnit);
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
void Session::answer_hello(wire::Stream& stream, const Method& method, std::string_view payload) {
  v1::HelloRequest request;
  if (!parse_message(payload, request))
    return answer_at_once(stream, method, unparseable(v1::Session::Hello::kFullName));
  if (const auto objection = object_to_hello(request); !objection.ok())
    return answer_at_once(stream, method, objection);
  const wire::Extension extension{.features = request.features() & wire::kAllFeatures,
                                  .stream_window = kStreamWindow,
                                  .connection_window = kConnectionWindow};
  v1::HelloResponse response;
  fill_agreement(extension, response);
  if (!output_has_room(response.ByteSizeLong())) return answer_at_once(stream, method, no_room());
  state_ = State::kExtended;
  client_ = escape(request.client_name() + " " + request.client_version());
  if (caller_.vm) note_boot_id(request);
  // There was room. What the sessions of an earlier boot are told meanwhile must not take it: both ends have to agree.
  answer_with_room(stream, {}, payload_of(response));
  method.counts->succeeded();
  time_answer(method);
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
  boot_id_ = boot_id;
  if (boot_id.empty() || boot_id == vm.boot_id) return;
  const bool again = !std::exchange(vm.boot_id, std::move(boot_id)).empty();
  owner_.booted(again);
}

// ---------------------------------------------------------------- what handlers ask

std::size_t Session::list_allowed(v1::ListServicesResponse& response) const {
  if (access_) return access_->list_allowed(environment_.router, response);
  for (const auto& method : environment_.router.methods()) response.add_methods()->set_method(method->name);
  for (const auto& name : environment_.router.routed_names()) response.add_methods()->set_method(name);
  std::sort(response.mutable_methods()->begin(), response.mutable_methods()->end(),
            [](const auto& a, const auto& b) { return a.method() < b.method(); });
  return static_cast<std::size_t>(response.methods_size());
}

}  // namespace hostcall::daemon
