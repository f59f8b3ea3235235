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
// To open a call, or to end it.
constexpr Units kCallUnits = 4;
// What the charge for a VM's unsent bytes takes itself.
constexpr std::size_t kUnsentOverhead = 64;
// When heartbeats are off, how soon to look whether they still are.
constexpr Duration kLookAgain = seconds(10);
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

BackendLink::BackendLink(LinkEnvironment& environment, UniqueFd socket, Protocol protocol, BackendLinkOwner& owner)
    : environment_(environment),
      reactor_(environment.reactor),
      owner_(owner),
      protocol_(protocol),
      fd_(reactor_, *this),
      endpoint_({.role = wire::EndpointOptions::Role::kClient, .budget = &budget_}, *this),
      hello_limit_(reactor_, Callback::to<&BackendLink::hello_is_late>(this)),
      beat_(reactor_, Callback::to<&BackendLink::beat>(this)),
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

// Cancelling a call leaves what it has sent in the output, so the charge is not the call's.
void BackendLink::charge_unsent(const BackendCall& call, std::size_t unsent_before) {
  const auto unsent = endpoint_.output().bytes();
  if (protocol_ == Protocol::kTtrpc || unsent == unsent_before) return;
  if (unsent_.empty() || unsent_.back().vm != call.vm()) {
    unsent_.push_back({.vm = call.vm(), .charge = Charge(call.vm()->quota, Resource::kMemory)});
    unsent_.back().charge.set(kUnsentOverhead);
  }
  auto& last = unsent_.back();
  last.end = sent_ + unsent;
  last.charge.set(last.charge.amount() + unsent - unsent_before);
}

bool BackendLink::is_quiet(bool since_this_turn) const {
  char byte;
  if (endpoint_.mid_frame()) return false;
  return !since_this_turn || (::recv(fd_.get(), &byte, sizeof byte, MSG_PEEK | MSG_DONTWAIT) < 0 && errno == EAGAIN);
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
  silent_since_ = reactor_.now();
  if (endpoint_.has(wire::kFeaturePing)) beat_.set(silent_since_);
  open_waiting();
}

// As long as there is room for their requests, and time.
void BackendLink::open_waiting() {
  while (has_room() && !waiting_.empty()) {
    if (!may_work()) return reactor_.work().wait(environment_.share, *this);
    waiting_.pop_front()->on_link_ready();
    spend_on_call();
  }
}

void BackendLink::spend_on_call() { (void)reactor_.work().spend(environment_.share, kCallUnits); }

void BackendLink::work() {
  end_calls();
  open_waiting();
}

// A server that hangs would keep its calls, and what is unsent, for ever.
void BackendLink::beat() {
  const auto every = environment_.timeouts.heartbeat;
  const auto now = reactor_.now();
  if (every == Duration::zero()) return beat_.set(now + kLookAgain);
  if (now >= silent_since_ + every) {
    if (pings_unanswered_ == kMaxLostPings) return lose("the server is silent: it did not answer three heartbeats");
    endpoint_.send_ping(++pings_unanswered_);
    silent_since_ = now;
    flush_soon();
  }
  beat_.set(silent_since_ + every);
}

// ---------------------------------------------------------------- calls

bool BackendLink::open(BackendCall& call, const wire::RequestFields& fields, std::string_view payload,
                       wire::Shape shape) {
  const auto unsent_before = endpoint_.output().bytes();
  auto& stream = endpoint_.open(fields, payload, shape);
  stream.context = &call;
  call.stream_ = &stream;
  // The requests of a turn leave together; one that has a connection alone leaves now, and nearly always as a whole.
  const auto before = sent_;
  const bool taken = protocol_ == Protocol::kHostcall || send_some() || sent_ != before;
  if (!is_drained() || broken_) flush_soon();
  charge_unsent(call, unsent_before);
  return taken;
}

wire::SendOutcome BackendLink::send(BackendCall& call, std::string_view message) {
  if (call.stream_ == nullptr) return wire::SendOutcome::kEnded;
  const auto unsent_before = endpoint_.output().bytes();
  const auto outcome = endpoint_.send_data(*call.stream_, message);
  charge_output();
  charge_unsent(call, unsent_before);
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
  for (auto* stream : not_begun) {
    if (auto* call = detach(*stream)) end_later(*call, false);
    endpoint_.forget(*stream);  // the server says nothing more of it
  }
  while (auto* call = waiting_.front()) end_later(*call, false);
  why_ = "the server is leaving and has not begun the call";
  end_calls();
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
  environment_.heap.note(received->bytes);
  silent_since_ = reactor_.now();
  pings_unanswered_ = 0;
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
    environment_.heap.note(*sent);
  }
  while (!unsent_.empty() && unsent_.front().end <= sent_) unsent_.pop_front();
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
  if (!lost_) environment_.heap.note(HeapTrim::kWorthBytes);
  lost_ = true;
  hello_limit_.cancel();
  beat_.cancel();
  fd_.close();
  unsent_.clear();
  stop_waiting();
}

void BackendLink::lose(const std::string& why) {
  if (lost_) return;
  close();
  why_ = why;
  endpoint_.for_each_stream([&](wire::Stream& stream) {
    if (auto* call = detach(stream)) end_later(*call, true);
  });
  while (auto* call = waiting_.front()) end_later(*call, true);
  end_calls();
}

// It leaves the list of those that wait.
void BackendLink::end_later(BackendCall& call, bool begun) {
  call.begun_ = begun;
  ended_.push_back(call);
}

// As many as there is time for.
void BackendLink::end_calls() {
  while (!ended_.empty()) {
    if (!may_work()) return reactor_.work().wait(environment_.share, *this);
    auto* call = ended_.pop_front();
    call->on_link_lost(why_, call->begun_);
    spend_on_call();
  }
  if (lost_ && !std::exchange(owner_told_, true)) owner_.on_lost(*this);
}

}  // namespace hostcall::daemon
