#include "client/lib/server_session.h"

#include <algorithm>
#include <utility>

#include "client/lib/server_hello.h"
#include "proto/base/escape.h"

namespace hostcall::server {
namespace {

// A refused caller may send one small request.
constexpr std::uint32_t kRefusedMessageBytes = 4096;
// What a call keeps of its Request.
constexpr std::size_t kMaxMetadataBytes = 16 * 1024;
// Room in a frame for the envelope around a payload.
constexpr std::size_t kEnvelopeBytes = 1024;
constexpr std::size_t kMaxReplyBytes = wire::kMaxDataBytes - kEnvelopeBytes;

wire::EndpointOptions endpoint_options(Environment& environment, bool refused) {
  const auto& options = environment.options;
  return {
      .role = wire::EndpointOptions::Role::kServer,
      .max_message_bytes = refused ? kRefusedMessageBytes : std::min(options.max_message_bytes, wire::kMaxDataBytes),
      .output_watermark = options.max_unsent_bytes,
      .pause_output_bytes = options.max_unsent_bytes,
      .budget = &environment.memory,
      .chunks = &environment.chunks};
}

wire::Status over_limit(const char* limit, std::size_t value, const char* advice) {
  return {wire::Code::kResourceExhausted,
          std::string("the limit ") + limit + " of the service is reached (" + std::to_string(value) + "): " + advice};
}

wire::Status no_such_method(const wire::RequestView& request) {
  return {wire::Code::kUnimplemented,
          "the service at this socket has no method " + escape(request.service) + "/" + escape(request.method)};
}

wire::Status wrong_shape(const ServedMethod& method, bool remote_open) {
  return {wire::Code::kInvalidArgument,
          method.full_name + (remote_open ? " takes one request, not a stream of them"
                                          : " takes a stream of requests: open it with the flag remote open")};
}

}  // namespace

Session::Session(Environment& environment, SessionOwner& owner, uid_t peer_uid, std::uint64_t id, wire::Status refusal)
    : environment_(environment),
      owner_(owner),
      endpoint_(endpoint_options(environment, !refusal.ok()), *this),
      calls_(environment.options.max_calls_per_connection),
      refusal_(std::move(refusal)),
      peer_uid_(peer_uid),
      id_(id) {}

// Null: the call has been answered, and the answer ended the stream.
std::shared_ptr<OpenCall> Session::call_of(wire::Stream& stream) {
  return static_cast<OpenCall*>(stream.context)->shared_from_this();
}

std::vector<std::shared_ptr<OpenCall>> Session::calls() {
  std::vector<std::shared_ptr<OpenCall>> all;
  endpoint_.for_each_stream([&](wire::Stream& stream) { all.push_back(call_of(stream)); });
  return all;
}

// ---------------------------------------------------------------- a call begins

void Session::on_request(wire::Stream& stream, const wire::RequestView& request, bool remote_open) {
  const bool is_first = !std::exchange(saw_request_, true);
  if (!refusal_.ok()) return answer(stream, refusal_);
  if (is_hello(request)) {
    if (is_first) return answer_hello(stream, request.payload);
    return answer(stream, {wire::Code::kFailedPrecondition, "Hello must be the first call of a connection"});
  }
  auto method = environment_.methods.find(request.service, request.method);
  if (const auto objection = object_to(method.get(), request, remote_open)) return answer(stream, *objection);
  start_call(stream, std::move(method), request);
}

// The reason to refuse a call before its payload is parsed, if there is one.
std::optional<wire::Status> Session::object_to(const ServedMethod* method, const wire::RequestView& request,
                                               bool remote_open) const {
  if (method == nullptr) return no_such_method(request);
  if (remote_open != method->client_streams) return wrong_shape(*method, remote_open);
  if (request.timeout_nano < 0)
    return wire::Status{wire::Code::kDeadlineExceeded,
                        "the deadline of " + method->full_name + " had passed before it was sent"};
  if (!wire::has_few_fields(request.payload, environment_.options.max_message_fields))
    return wire::Status{wire::Code::kInvalidArgument,
                        method->full_name +
                            ": the request is no message, or has more fields than max_message_fields (" +
                            std::to_string(environment_.options.max_message_fields) + ")"};
  return std::nullopt;
}

void Session::start_call(wire::Stream& stream, std::shared_ptr<ServedMethod> method, const wire::RequestView& request) {
  OpenCall::CountedIn places{.connection = calls_.take(), .server = environment_.calls.take()};
  if (!places.connection)
    return answer(stream, over_limit("max_calls_per_connection", calls_.limit(), "wait until an open call has ended"));
  if (!places.server)
    return answer(stream, over_limit("max_calls", environment_.calls.limit(), "wait until an open call has ended"));
  auto metadata = request.metadata_data();
  if (metadata.size() > kMaxMetadataBytes)
    return answer(stream, over_limit("metadata", kMaxMetadataBytes, "send less of it"));
  const auto call = std::make_shared<OpenCall>(environment_, static_cast<CallOwner&>(*this), stream, std::move(method),
                                               request, std::move(metadata), std::move(places));
  stream.context = call.get();
  call->start(request.payload);
}

void Session::answer_hello(wire::Stream& stream, std::string_view payload) {
  const auto& options = environment_.options;
  Hello hello{.session_id = id_,
              .max_message_bytes = endpoint_.max_message_bytes(),
              .max_streams = static_cast<std::uint32_t>(options.max_calls_per_connection)};
  const auto status = agree(payload, hello);
  saw_request_ = status.ok();
  answer(stream, status, std::string_view(hello.response));
  // From the first byte after the reply.
  if (status.ok()) endpoint_.enable(hello.extension);
}

// ---------------------------------------------------------------- a call goes on

void Session::on_data(wire::Stream& stream, std::string_view data) {
  if (wire::has_few_fields(data, environment_.options.max_message_fields)) return call_of(stream)->take_message(data);
  const auto call = call_of(stream);
  const wire::Status status{wire::Code::kInvalidArgument,
                            call->method() + ": a message is none, or has more fields than max_message_fields (" +
                                std::to_string(environment_.options.max_message_fields) + ")"};
  call->cancel(&status);
}

void Session::on_remote_closed(wire::Stream& stream) { call_of(stream)->remote_closed(); }

void Session::on_writable(wire::Stream& stream) { call_of(stream)->writable(); }

void Session::on_cancel(wire::Stream& stream, wire::Code) {
  const auto call = call_of(stream);
  call->cancel(nullptr);
  endpoint_.forget(stream);
  finish_if_last();
}

// A message exceeds a limit. Only its call ends.
void Session::on_refused(wire::Stream& stream, wire::Refusal refusal, wire::FrameType type) {
  const auto status = refusal == wire::Refusal::kTooLarge
                          ? over_limit("max_message_bytes", endpoint_.max_message_bytes(), "send a smaller message")
                          : over_limit("max_memory_bytes", environment_.options.max_memory_bytes, "send less at once");
  if (type != wire::FrameType::kRequest) return call_of(stream)->cancel(&status);
  answer(stream, refusal_.ok() ? status : refusal_);
}

// A client that sends Goaway makes no more calls: the connection ends with its last open call.
void Session::on_goaway(const wire::Goaway&) {
  if (refusal_.ok()) refusal_ = {wire::Code::kUnavailable, "a call after the client's own Goaway"};
  finish_if_last();
}

wire::SendOutcome Session::send_message(wire::Stream& stream, const wire::Payload& message) {
  const auto outcome = endpoint_.send_data(stream, message);
  owner_.flush_soon();
  return outcome;
}

void Session::message_taken(wire::Stream& stream, std::size_t bytes) {
  endpoint_.consumed(stream, bytes);
  owner_.flush_soon();
}

void Session::message_kept(wire::Stream& stream, std::size_t bytes) { endpoint_.kept(stream, bytes); }

void Session::note_kept(std::ptrdiff_t cost) {
  kept_ += static_cast<std::size_t>(cost);
  owner_.flush_soon();
}

// ---------------------------------------------------------------- a call ends

void Session::answer_call(wire::Stream& stream, const wire::Status& status, const wire::Payload& reply,
                          bool server_streams) {
  if (!status.ok() || !server_streams) return answer(stream, status, reply);
  endpoint_.close_stream(stream);
  finish_if_last();
}

// A reply comes whether or not the peer reads, so it must have room.
void Session::answer(wire::Stream& stream, const wire::Status& status, const wire::Payload& reply) {
  const auto unsent = endpoint_.output().bytes();
  const auto room = environment_.options.max_unsent_bytes + wire::kMaxDataBytes;
  if (status.ok() && reply.size() > kMaxReplyBytes)
    endpoint_.respond(stream, over_limit("message", kMaxReplyBytes, "the call was made, but its reply does not fit"));
  else if (status.ok() && unsent + reply.size() > room)
    endpoint_.respond(stream, over_limit("max_unsent_bytes", environment_.options.max_unsent_bytes,
                                         "the call was made, but replies before its own were not read"));
  else
    endpoint_.respond(stream, status, reply);
  finish_if_last();
}

// A session that takes no more calls is finished when it has none.
void Session::finish_if_last() {
  owner_.flush_soon();
  if (!refusal_.ok() && open_calls() == 0) owner_.finish_soon();
}

void Session::drain(const wire::Status& status) {
  if (!refusal_.ok()) return;
  refusal_ = status;
  endpoint_.send_goaway(wire::GoawayReason::kShutdown, 0, status.message);
  for (const auto& call : calls())
    if (call->server_streams()) call->cancel(&status);
  finish_if_last();
}

void Session::end_calls(const wire::Status* status) {
  if (refusal_.ok()) refusal_ = {wire::Code::kUnavailable, "the connection has ended"};
  for (const auto& call : calls()) call->cancel(status);
}

}  // namespace hostcall::server
