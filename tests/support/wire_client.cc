#include "tests/support/wire_client.h"

#include <poll.h>

#include <array>
#include <stdexcept>

#include "proto/net/socket.h"

namespace hostcall::test {
namespace {

using std::chrono::milliseconds;

UniqueFd connect_to(const std::string& text) {
  auto address = net::Address::parse(text);
  if (!address.ok()) throw std::runtime_error(address.error().message());
  auto fd = net::start_connect(*address, kPatience);
  if (!fd.ok()) throw std::runtime_error(fd.error().message());
  return std::move(*fd);
}

wire::Payload payload_of(const std::string& bytes) { return {std::string_view(bytes)}; }

}  // namespace

WireClient::WireClient(const std::string& address, std::function<void()> run_host)
    : fd_(connect_to(address)),
      run_host_(std::move(run_host)),
      endpoint_({.role = wire::EndpointOptions::Role::kClient}, *this) {}

v1::HelloResponse WireClient::hello(const std::string& boot_id, std::uint64_t without) {
  v1::HelloRequest request;
  request.set_client_name("wire-client");
  request.set_client_version("1");
  request.set_boot_id(boot_id);
  request.set_features(wire::kAllFeatures & ~without);
  hello_ = start("hostcall.v1.Session/Hello", request.SerializeAsString());
  const auto answer = finish(hello_);
  v1::HelloResponse response;
  if (!answer.arrived || !answer.status.ok() || !response.ParseFromString(answer.payload))
    throw std::runtime_error("Hello refused: " + answer.status.message);
  return response;
}

// At once: a Goaway may follow in the same bytes.
void WireClient::enable_extension(std::string_view hello_response) {
  v1::HelloResponse agreed;
  if (agreed.ParseFromArray(hello_response.data(), static_cast<int>(hello_response.size())))
    endpoint_.enable({.features = agreed.features(),
                      .stream_window = agreed.initial_stream_window(),
                      .connection_window = agreed.initial_connection_window()});
}

std::uint32_t WireClient::start(const std::string& method, const std::string& payload, wire::Shape shape,
                                std::chrono::nanoseconds timeout) {
  const auto slash = method.find('/');
  const auto service = method.substr(0, slash);
  const auto name = method.substr(slash + 1);
  auto& stream =
      endpoint_.open({.service = service, .method = name, .timeout_nano = timeout.count(), .metadata = metadata},
                     payload_of(payload), shape);
  const auto id = stream.id();
  calls_.emplace(id, Call{&stream, {}});
  flush();
  return id;
}

Answer WireClient::finish(std::uint32_t stream) {
  auto& call = calls_.at(stream);
  while (!call.ended && pump()) {
  }
  auto answer = std::move(call.answer);
  calls_.erase(stream);
  return answer;
}

bool WireClient::try_send(std::uint32_t stream, const std::string& message) {
  const auto& call = calls_.at(stream);
  return !call.ended && endpoint_.send_data(*call.stream, payload_of(message)) == wire::SendOutcome::kSent && flush();
}

bool WireClient::send(std::uint32_t stream, const std::string& message) {
  auto& call = calls_.at(stream);
  while (!call.ended) {
    const auto outcome = endpoint_.send_data(*call.stream, payload_of(message));
    if (outcome == wire::SendOutcome::kSent) return flush();
    if (outcome == wire::SendOutcome::kEnded || !flush()) return false;
    // Without windows, sending makes room; with them, the host has to grant credit.
    if (endpoint_.output().empty() && !endpoint_.has(wire::kFeatureWindow)) continue;
    if (!pump()) return false;
  }
  return false;
}

void WireClient::close_send(std::uint32_t stream) {
  auto& call = calls_.at(stream);
  if (!call.ended) endpoint_.close_send(*call.stream);
  flush();
}

void WireClient::cancel(std::uint32_t stream) {
  auto& call = calls_.at(stream);
  if (!call.ended) endpoint_.cancel(*call.stream, wire::Code::kCancelled);
  call.ended = true;
  flush();
}

std::optional<std::string> WireClient::receive(std::uint32_t stream) {
  auto& call = calls_.at(stream);
  while (call.answer.messages.empty())
    if (call.ended || !pump()) return std::nullopt;
  auto message = std::move(call.answer.messages.front());
  call.answer.messages.pop_front();
  if (!call.ended) endpoint_.consumed(*call.stream, message.size());
  flush();
  return message;
}

std::size_t WireClient::unread_bytes(std::uint32_t stream) const {
  std::size_t bytes = 0;
  for (const auto& message : calls_.at(stream).answer.messages) bytes += message.size();
  return bytes;
}

void WireClient::send_raw(const std::string& bytes) {
  std::string_view left = bytes;
  while (!left.empty() && !deaf_) {
    const iovec piece{const_cast<char*>(left.data()), left.size()};
    const auto sent = net::send(fd_.get(), {&piece, 1});
    if (!sent.ok()) {
      deaf_ = true;
      return;
    }
    left.remove_prefix(sent.value());
    if (sent.value() != 0) continue;
    if (!wait_for(POLLOUT, kPatience)) throw std::runtime_error("the host does not read");
  }
}

bool WireClient::flush() {
  while (!endpoint_.output().empty() && !deaf_) {
    std::array<iovec, 16> pieces;
    const auto count = endpoint_.output().gather(pieces);
    const auto sent = net::send(fd_.get(), {pieces.data(), count});
    if (!sent.ok()) {
      deaf_ = true;
    } else if (sent.value() == 0) {
      return true;
    } else {
      endpoint_.output().consume(sent.value());
    }
  }
  return !deaf_;
}

// False: time ran out, or the host has done all it can.
bool WireClient::wait_for(short events, milliseconds time) {
  if (run_host_) run_host_();
  pollfd ready{fd_.get(), events, 0};
  return ::poll(&ready, 1, run_host_ ? 0 : static_cast<int>(time.count())) > 0;
}

bool WireClient::pump(milliseconds time) {
  if (closed_) return false;
  const bool more = flush() && !endpoint_.output().empty();
  if (!wait_for(static_cast<short>(POLLIN | (more ? POLLOUT : 0)), time)) return false;
  std::array<char, 65536> buffer;
  const auto received = net::receive(fd_.get(), buffer);
  if (!received.ok() || received.value().end) {
    closed_ = true;
    return false;
  }
  if (received.value().would_block) return true;
  if (!endpoint_.receive({buffer.data(), received.value().bytes}))
    throw std::runtime_error("the host broke the protocol: " + endpoint_.violation()->text);
  flush();
  return true;
}

bool WireClient::wait_for_close() {
  while (pump()) {
  }
  return closed_;
}

bool WireClient::discard_until_closed() {
  std::array<char, 65536> buffer;
  for (;;) {
    if (!wait_for(POLLIN, kPatience)) return false;
    const auto received = net::receive(fd_.get(), buffer);
    if (!received.ok() || received.value().end) return true;
  }
}

bool WireClient::wait_for_goaway() {
  while (!goaway_text_ && pump()) {
  }
  return goaway_text_.has_value();
}

void WireClient::on_response(wire::Stream& stream, const wire::ResponseView& response) {
  of(stream).answer.payload = response.payload;
  if (stream.id() == hello_ && response.code == wire::Code::kOk) enable_extension(response.payload);
  end(stream, response.whole_status());
}

void WireClient::on_data(wire::Stream& stream, std::string_view data) { of(stream).answer.messages.emplace_back(data); }

void WireClient::on_remote_closed(wire::Stream& stream) { end(stream, {}); }

void WireClient::end(wire::Stream& stream, const wire::Status& status) {
  auto& call = of(stream);
  call.answer.arrived = true;
  call.answer.status = status;
  call.ended = true;
}

void WireClient::on_goaway(const wire::Goaway& goaway) {
  goaway_text_ = std::string(goaway.text);
  goaway_reason_ = goaway.reason;
}

}  // namespace hostcall::test
