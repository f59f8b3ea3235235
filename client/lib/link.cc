#include "client/lib/link.h"

#include <algorithm>

#include "client/lib/explain.h"
#include "proto/net/socket.h"

namespace hostcall::client {
namespace {

// Output memory kept after sending, so that a stream's messages do not fault in fresh pages.
constexpr std::size_t kKeptOutputBytes = 256 * 1024;
// Receives in one turn: a host that never stops sending must not hold the caller forever.
constexpr int kReadsPerTurn = 4;
// The most memory that a host may fill, whatever windows it grants itself.
constexpr std::uint32_t kMaxTrustedWindow = 16u << 20;
constexpr std::size_t kMaxStatusText = 8 * 1024;
constexpr unsigned kMaxUnansweredPings = 2;
constexpr milliseconds kBeatGrace{500};
constexpr milliseconds kMaxRetryAfter = std::chrono::minutes(1);

// A link that lasted this long was of use even if no call was answered.
constexpr seconds kSoundAge{1};

wire::EndpointOptions engine_options(const ChannelOptions& options, wire::ChunkPool& chunks,
                                     wire::DirectSender& sender) {
  wire::EndpointOptions engine;
  engine.role = wire::EndpointOptions::Role::kClient;
  engine.first_stream = options.first_stream;
  engine.chunks = &chunks;
  engine.sender = &sender;
  return engine;
}

Call* call_of(const wire::Stream& stream) { return static_cast<Call*>(stream.context); }

// A negative code from the host would look like one of this library's own.
wire::Status status_of(const wire::ResponseView& response) {
  const auto code = response.code < wire::Code::kOk ? wire::Code::kUnknown : response.code;
  return {code, std::string(response.message.substr(0, kMaxStatusText)), response.retry_after};
}

}  // namespace

Link::Link(UniqueFd fd, const ChannelOptions& options, LinkEvents& events, TimePoint now)
    : fd_(std::move(fd)),
      options_(options),
      events_(events),
      chunks_(kKeptOutputBytes),
      endpoint_(engine_options(options, chunks_, *this), *this),
      unread_limit_(options.max_unread_bytes),
      begun_(now),
      last_read_(now) {}

void Link::lose(Loss loss) {
  if (!loss_) loss_ = std::move(loss);
}

bool Link::was_sound(TimePoint now) const { return served_ || now - begun_ >= kSoundAge; }

// ---------------------------------------------------------------- set-up

std::optional<Done> Link::connected() const {
  pollfd entry{.fd = fd_.get(), .events = POLLOUT, .revents = 0};
  if (::poll(&entry, 1, 0) <= 0) return std::nullopt;
  return net::finish_connect(fd_.get(), options_.address);
}

void Link::send_hello(Duration timeout) {
  const auto request = hello_request(options_);
  endpoint_.open({.service = kSessionService, .method = kHelloMethod, .timeout_nano = nanoseconds(timeout).count()},
                 wire::Payload(request), wire::Shape::kUnary);
}

void Link::take_hello(const wire::ResponseView& response) {
  hello_ = status_of(response);
  if (response.code == wire::Code::kUnimplemented) return enter(Agreement{});
  if (response.code != wire::Code::kOk) return;
  auto agreement = parse_hello(response.payload, options_);
  if (!agreement) return lose({"the answer to Hello is not a HelloResponse: is this hostcalld?", false});
  enter(std::move(*agreement));
}

void Link::enter(Agreement agreement) {
  agreement_ = std::move(agreement);
  hello_ = wire::Status{};
  endpoint_.enable(agreement_.extension);
  leaving_ = !endpoint_.can_open();
  if (endpoint_.has(wire::kFeatureWindow))
    unread_limit_ = std::max<std::size_t>(
        unread_limit_, std::min(agreement_.extension.connection_window, kMaxTrustedWindow) + wire::kMaxDataBytes);
  widen_window();
}

// Whose owner keeps more than the window holds has streams that wait: the others must not wait for them.
void Link::widen_window() {
  if (options_.max_unread_bytes <= ChannelOptions::kDefaultUnreadBytes || !endpoint_.has(wire::kFeatureWindow)) return;
  const auto wanted = std::min<std::size_t>(options_.max_unread_bytes, wire::kMaxCredit);
  const std::size_t window = agreement_.extension.connection_window;
  if (wanted > window) endpoint_.grant(static_cast<std::uint32_t>(wanted - window));
  unread_limit_ = std::max(unread_limit_, wanted + wire::kMaxDataBytes);
}

// ---------------------------------------------------------------- bytes

bool Link::receive_once(TimePoint now) { return deliver(net::receive(fd_.get(), buffer_.room()), now); }

bool Link::look() {
  awaited_ = net::receive(fd_.get(), buffer_.room());
  return !awaited_.ok() || !awaited_.value().would_block;
}

bool Link::await(TimePoint& now) {
  if (!may_wait_ && !prepare_to_wait()) return true;
  const auto received = net::receive_waiting(fd_.get(), buffer_.room());
  now = Clock::now();
  if (received.ok() && received.value().would_block) return received.value().interrupted;
  read_on(received, now);
  return true;
}

// False: it failed, and the link is lost.
bool Link::prepare_to_wait() {
  const auto allowed = net::allow_waiting(fd_.get(), kAwaitLimit);
  if (!allowed.ok()) broke(allowed.error());
  return may_wait_ = allowed.ok();
}

// Delivers what was received, and reads on if there may be more.
void Link::read_on(const Result<net::Received>& received, TimePoint now) {
  if (deliver(received, now)) read(now);
}

// False: there is no more now.
bool Link::deliver(const Result<net::Received>& received, TimePoint now) {
  if (!received.ok()) return broke(received.error());
  if (received.value().would_block) return false;
  if (received.value().end) return ended();
  heard_ = true;
  last_read_ = now;
  restart_beat(now);
  const auto frames = endpoint_.frames_received();
  if (!endpoint_.receive({buffer_.data(), received.value().bytes})) return violated(now);
  buffer_.saw(received.value().bytes, endpoint_.frames_received() - frames, endpoint_.mid_frame());
  return buffer_.was_filled(received.value().bytes);
}

// How deliver() ends when the link is lost: all return false.

bool Link::broke(const Error& error) {
  lose({"the connection broke: " + error.message(), true});
  return false;
}

bool Link::ended() {
  lose({explain_end(heard_, farewell_.text), true});
  return false;
}

bool Link::violated(TimePoint now) {
  lose({"the host broke the protocol: " + endpoint_.violation()->text, false});
  endpoint_.send_goaway(wire::GoawayReason::kProtocolError, 0, endpoint_.violation()->text);
  flush(now);
  return false;
}

void Link::read(TimePoint now) {
  for (int turn = 0; turn < kReadsPerTurn && !loss_ && may_read(); ++turn)
    if (!receive_once(now)) return;
}

void Link::send_output(TimePoint now) {
  constexpr std::size_t kPieces = 16;
  const std::size_t most = net::max_send_bytes(options_.address.family);
  auto& output = endpoint_.output();
  while (!output.empty()) {
    iovec pieces[kPieces];
    const auto sent = net::send(fd_.get(), {pieces, output.gather(pieces)}, most);
    if (!sent.ok()) return write_failed(sent.error(), now);
    if (sent.value() == 0) break;
    sent_ += sent.value();
    output.consume(sent.value());
  }
  endpoint_.output_drained();
}

std::size_t Link::send_now(std::span<iovec> pieces) {
  const auto sent = net::send_all(fd_.get(), pieces, net::max_send_bytes(options_.address.family));
  if (!sent.ok()) return 0;
  sent_ += sent.value();
  return sent.value();
}

// Reads first: the socket may still hold answers, and the Goaway that says why.
void Link::write_failed(const Error& error, TimePoint now) {
  for (int turn = 0; turn < kReadsPerTurn && !loss_; ++turn) receive_once(now);
  lose({"the connection broke: " + error.message(), true});
}

// ---------------------------------------------------------------- heartbeat

void Link::restart_beat(TimePoint now) {
  unanswered_pings_ = 0;
  const bool beats = endpoint_.has(wire::kFeaturePing) && agreement_.heartbeat_interval > Duration::zero();
  beat_at_ = beats ? now + agreement_.heartbeat_interval : kNever;
}

// Slow path: a heartbeat is due.
void Link::beat_slow(TimePoint now) {
  if (!may_read()) return restart_beat(now);
  if (unanswered_pings_ > kMaxUnansweredPings)
    return lose({"the host is silent: nothing received for three heartbeat intervals", true});
  endpoint_.send_ping(unanswered_pings_++);
  const bool last = unanswered_pings_ > kMaxUnansweredPings;
  beat_at_ = now + (last ? Duration(kBeatGrace) : Duration(agreement_.heartbeat_interval));
}

// ---------------------------------------------------------------- calls

void Link::start(Call& call, TimePoint now) {
  if (open_calls() == 0) restart_beat(now);
  const auto& spec = call.spec;
  const auto left =
      spec.deadline == kNever ? nanoseconds(0) : std::max(nanoseconds(spec.deadline - now), nanoseconds(1));
  auto& stream = endpoint_.open({.service = spec.service, .method = spec.method, .timeout_nano = left.count()},
                                spec.payload, spec.shape);
  stream.context = &call;
  call.stream = &stream;
  call.link = this;
  call.request_end = sent_ + endpoint_.output().bytes();
  leaving_ = !endpoint_.can_open();
  if (call.send_closed) endpoint_.close_send(stream);
}

void Link::detach(Call& call) {
  call.stream->context = nullptr;
  call.stream = nullptr;
  call.link = nullptr;
}

void Link::cancel(Call& call, wire::Code code) {
  auto& stream = *call.stream;
  detach(call);
  endpoint_.cancel(stream, code);
}

std::vector<Call*> Link::abandon_after(std::uint32_t last_stream) {
  std::vector<wire::Stream*> streams;
  endpoint_.for_each_stream([&](wire::Stream& stream) {
    if (stream.id() > last_stream && stream.context != nullptr) streams.push_back(&stream);
  });
  std::ranges::sort(streams, {}, &wire::Stream::id);
  std::vector<Call*> calls;
  for (auto* stream : streams) {
    calls.push_back(call_of(*stream));
    detach(*calls.back());
    endpoint_.forget(*stream);
  }
  return calls;
}

void Link::say_goaway(TimePoint now) {
  if (loss_ || !hello_) return;
  endpoint_.send_goaway(wire::GoawayReason::kClient, 0, "the client is done");
  flush(now);
}

// ---------------------------------------------------------------- the engine's events

void Link::end_ok(Call& call, std::string_view payload) {
  detach(call);
  served_ = true;
  events_.on_call_done(call, payload);
}

void Link::end_failed(Call& call, const wire::ResponseView& response) {
  detach(call);
  served_ = true;
  events_.on_call_failed(call, status_of(response));
}

void Link::on_response(wire::Stream& stream, const wire::ResponseView& response) {
  auto* call = call_of(stream);
  if (call == nullptr) return take_hello(response);
  if (response.code == wire::Code::kOk) return end_ok(*call, response.payload);
  end_failed(*call, response);
}

// The engine delivers Data only to calls whose reply streams, so never to Hello.
void Link::on_data(wire::Stream& stream, std::string_view data) {
  auto& call = *call_of(stream);
  call.inbox.push(data, buffer_.hold(data));
  events_.on_message(call, data.size());
}

void Link::on_remote_closed(wire::Stream& stream) { end_ok(*call_of(stream), {}); }

void Link::on_writable(wire::Stream& stream) { events_.on_writable(*call_of(stream)); }

void Link::on_goaway(const wire::Goaway& goaway) {
  leaving_ = true;
  farewell_ = {.last_stream = goaway.last_stream,
               .retry_after = std::min<Duration>(milliseconds(goaway.retry_after_ms), kMaxRetryAfter),
               .text = std::string(goaway.text)};
}

}  // namespace hostcall::client
