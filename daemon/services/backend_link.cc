#include "daemon/services/backend_link.h"

#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <utility>
#include <vector>

#include "hostcall/v1/session.hostcall.h"
#include "proto/base/escape.h"
#include "proto/net/socket.h"

namespace hostcall::daemon {
namespace {

using v1::Session::Hello;
using wire::Code;

// What one link reads and sends per turn.
constexpr std::size_t kReadBytes = 64 * 1024;
constexpr std::size_t kSendBytesPerTurn = 256 * 1024;
constexpr std::size_t kPieces = 16;
// Calls leave less than this unsent, so the rest are answers to a server that asks without reading.
constexpr std::size_t kTooMuchUnsent = 2 * wire::kMaxDataBytes;
constexpr std::uint64_t kWantedFeatures = wire::kAllFeatures & ~std::uint64_t{wire::kFeatureCrc32c};
// Without these, calls on one connection would hold each other up.
constexpr std::uint64_t kNeededFeatures = wire::kFeatureCancel | wire::kFeatureWindow;

std::string hello_request() {
  v1::HelloRequest request;
  request.set_client_name("hostcalld");
  request.set_client_version(HOSTCALL_VERSION);
  request.set_features(kWantedFeatures);
  return request.SerializeAsString();
}

BackendCall* call_of(const wire::Stream& stream) { return static_cast<BackendCall*>(stream.context); }

}  // namespace

BackendLink::BackendLink(Reactor& reactor, UniqueFd socket, Protocol protocol, BackendLinkOwner& owner)
    : reactor_(reactor),
      owner_(owner),
      protocol_(protocol),
      fd_(reactor, *this),
      endpoint_({.role = wire::EndpointOptions::Role::kClient, .budget = &budget_}, *this),
      hello_limit_(reactor, Callback::to<&BackendLink::hello_is_late>(this)),
      ready_(protocol == Protocol::kTtrpc) {
  fd_.open(std::move(socket), HostFd::Kind::kSocket);
  if (!ready_) say_hello();
  watch();
}

BackendLink::~BackendLink() { reactor_.forget(*this); }

void BackendLink::charge_to(Charge incomplete_frames, Charge output) {
  budget_.charge = std::move(incomplete_frames);
  output_ = std::move(output);
  charge_output();
}

void BackendLink::charge_nobody() { charge_to({}, {}); }

// The heap holds more than what is unsent.
void BackendLink::charge_output() {
  output_.set(protocol_ == Protocol::kTtrpc ? kOwnBytes + endpoint_.output().footprint() : 0);
}

bool BackendLink::is_quiet() const {
  char byte;
  return !endpoint_.mid_frame() && ::recv(fd_.get(), &byte, sizeof byte, MSG_PEEK | MSG_DONTWAIT) < 0 &&
         errno == EAGAIN;
}

// ---------------------------------------------------------------- Hello

void BackendLink::say_hello() {
  const auto request = hello_request();
  hello_ = &endpoint_.open({.service = Hello::kService, .method = Hello::kMethod}, std::string_view(request),
                           wire::Shape::kUnary);
  hello_limit_.set(reactor_.now() + kHelloLimit);
  flush_soon();
}

void BackendLink::take_hello(const wire::ResponseView& response) {
  hello_ = nullptr;
  hello_limit_.cancel();
  if (response.code != Code::kOk)
    return lose(
        "the server refused Hello: " + wire::code_name(response.code) + ", " + escape_message(response.message) +
        (response.code == Code::kUnimplemented ? R"(; for a server of ttrpc alone, write "protocol": "ttrpc")" : ""));
  v1::HelloResponse agreed;
  if (!agreed.ParseFromArray(response.payload.data(), static_cast<int>(response.payload.size())))
    return lose("the server's answer to Hello is malformed");
  const auto features = agreed.features() & kWantedFeatures;
  if ((features & kNeededFeatures) != kNeededFeatures) return lose("the server knows no cancellation and no windows");
  endpoint_.enable({.features = features,
                    .stream_window = agreed.initial_stream_window(),
                    .connection_window = agreed.initial_connection_window()});
  if (endpoint_.violation() != nullptr) return;
  ready_ = true;
  open_waiting();
}

// As long as there is room for their requests.
void BackendLink::open_waiting() {
  while (is_ready() && !waiting_.empty()) waiting_.pop_front()->on_link_ready();
}

// ---------------------------------------------------------------- calls

bool BackendLink::open(BackendCall& call, const wire::RequestFields& fields, std::string_view payload,
                       wire::Shape shape) {
  auto& stream = endpoint_.open(fields, payload, shape);
  stream.context = &call;
  call.stream_ = &stream;
  flush_soon();
  if (protocol_ == Protocol::kHostcall) return true;
  const auto before = sent_;
  return send_some() || sent_ != before;
}

wire::SendOutcome BackendLink::send(BackendCall& call, std::string_view message) {
  if (call.stream_ == nullptr) return wire::SendOutcome::kEnded;
  const auto outcome = endpoint_.send_data(*call.stream_, message);
  charge_output();
  flush_soon();
  return outcome;
}

void BackendLink::close_send(BackendCall& call) {
  if (call.stream_ == nullptr) return;
  endpoint_.close_send(*call.stream_);
  flush_soon();
}

void BackendLink::consumed(BackendCall& call, std::size_t message_bytes) {
  if (call.stream_ == nullptr) return;
  endpoint_.consumed(*call.stream_, message_bytes);
  flush_soon();
}

void BackendLink::kept(BackendCall& call, std::size_t message_bytes) {
  if (call.stream_ == nullptr) return;
  endpoint_.kept(*call.stream_, message_bytes);
  flush_soon();
}

void BackendLink::cancel(BackendCall& call) {
  call.unlink();
  if (call.stream_ == nullptr) return;
  auto& stream = *std::exchange(call.stream_, nullptr);
  endpoint_.cancel(stream, Code::kCancelled);
  flush_soon();
}

void BackendLink::pause(bool paused) {
  paused_ = paused;
  watch();
}

BackendCall* BackendLink::detach(wire::Stream& stream) {
  auto* call = call_of(stream);
  stream.context = nullptr;
  if (call != nullptr) call->stream_ = nullptr;
  return call;
}

// ---------------------------------------------------------------- what the server says

void BackendLink::on_response(wire::Stream& stream, const wire::ResponseView& response) {
  if (&stream == hello_) return take_hello(response);
  if (auto* call = detach(stream)) call->on_response(response);
}

void BackendLink::on_data(wire::Stream& stream, std::string_view data) {
  if (auto* call = call_of(stream)) call->on_server_message(data);
}

void BackendLink::on_remote_closed(wire::Stream& stream) {
  if (auto* call = detach(stream)) call->on_server_closed();
}

void BackendLink::on_refused(wire::Stream& stream, wire::Refusal refusal, wire::FrameType) {
  if (auto* call = call_of(stream)) call->on_server_refused(refusal);
}

void BackendLink::on_writable(wire::Stream& stream) {
  if (auto* call = call_of(stream)) call->on_server_writable();
}

// Calls that the server has not begun end; the others may finish.
void BackendLink::on_goaway(const wire::Goaway& goaway) {
  std::vector<wire::Stream*> not_begun;
  endpoint_.for_each_stream([&](wire::Stream& stream) {
    if (stream.id() > goaway.last_stream) not_begun.push_back(&stream);
  });
  std::vector<BackendCall*> calls;
  for (auto* stream : not_begun) {
    if (auto* call = detach(*stream)) calls.push_back(call);
    endpoint_.forget(*stream);  // the server says nothing more of it
  }
  while (auto* call = waiting_.pop_front()) calls.push_back(call);
  for (auto* call : calls) call->on_link_lost("the server is leaving and has not begun the call", false);
}

// ---------------------------------------------------------------- bytes

void BackendLink::on_host_io(HostFd&, std::uint32_t events) {
  if (lost_) return;
  if ((events & kWritable) != 0) flush_soon();
  if ((events & ~kWritable) != 0) read();
}

void BackendLink::read() {
  const auto room = reactor_.buffer().first(kReadBytes);
  const auto received = net::receive(fd_.get(), room);
  if (!received.ok()) return lose("the connection broke: " + received.error().message());
  if (received->would_block) return;
  if (received->end) return lose("the server closed the connection");
  if (received->descriptors) return lose("the server passes file descriptors, which hostcall does not take");
  const bool legal = endpoint_.receive({room.data(), received->bytes});
  if (!legal && !lost_) return lose("the server broke the protocol: " + endpoint_.violation()->text);
  // What the server asks the engine itself is answered, too.
  if (!is_drained()) flush_soon();
}

// False: the kernel takes no more.
bool BackendLink::send_some() {
  auto& output = endpoint_.output();
  for (std::size_t left = kSendBytesPerTurn; left != 0 && !output.empty() && !broken_;) {
    std::array<iovec, kPieces> pieces;
    const auto count = output.gather(pieces);
    const auto sent = net::send(fd_.get(), {pieces.data(), count}, left);
    if (!sent.ok()) broken_ = sent.error();
    if (!sent.ok() || *sent == 0) break;
    output.consume(*sent);
    left -= *sent;
    sent_ += *sent;
  }
  charge_output();
  return !broken_;
}

void BackendLink::flush() {
  if (lost_) return;
  if (!send_some()) return lose("the connection broke: " + broken_->message());
  if (endpoint_.output().bytes() > kTooMuchUnsent) return lose("the server does not read");
  endpoint_.output_drained();
  open_waiting();
  watch();
}

void BackendLink::watch() {
  if (lost_) return;
  const auto watched = fd_.want(!paused_, !endpoint_.output().empty());
  // Later: a call may be on its way here.
  if (!watched.ok()) {
    broken_ = watched.error();
    flush_soon();
  }
}

void BackendLink::close() {
  lost_ = true;
  hello_limit_.cancel();
  fd_.close();
}

void BackendLink::lose(const std::string& why) {
  if (lost_) return;
  close();
  std::vector<BackendCall*> calls;
  endpoint_.for_each_stream([&](wire::Stream& stream) {
    if (auto* call = detach(stream)) calls.push_back(call);
  });
  while (auto* call = waiting_.pop_front()) calls.push_back(call);
  for (auto* call : calls) call->on_link_lost(why, true);
  owner_.on_lost(*this);
}

}  // namespace hostcall::daemon
