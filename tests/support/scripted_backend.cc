#include "tests/support/scripted_backend.h"

#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <stdexcept>

#include "hostcall/v1/session.pb.h"
#include "proto/net/socket.h"

namespace hostcall::test {

using wire::Code;

void ScriptedBackend::listen() {
  auto listening = net::listen(net::unix_address(path_));
  if (!listening.ok()) throw std::runtime_error(listening.error().message());
  listener_ = std::move(listening).value();
}

void ScriptedBackend::set_backlog(int connections) {
  if (::listen(listener_.get(), connections) != 0) throw std::runtime_error("listen");
}

bool ScriptedBackend::pump() {
  bool moved = false;
  while (accepts && listener_) {
    auto accepted = net::accept(listener_.get());
    if (!accepted.ok()) break;
    connections_.push_back(std::make_unique<Connection>(*this, connections_.size(), std::move(accepted).value()));
    moved = true;
  }
  for (auto& connection : connections_) {
    if (!connection) continue;
    moved |= connection->send();
    if (reads) moved |= connection->receive();
    moved |= connection->send();
    if (!connection->fd) connection.reset();
  }
  return moved;
}

void ScriptedBackend::answer(Call& call, std::string_view payload, const wire::Status& status) {
  connections_[call.connection]->endpoint.respond(*std::exchange(call.stream, nullptr), status, payload);
}

bool ScriptedBackend::send(Call& call, std::string_view message) {
  return connections_[call.connection]->endpoint.send_data(*call.stream, message) == wire::SendOutcome::kSent;
}

void ScriptedBackend::close(Call& call) {
  connections_[call.connection]->endpoint.close_stream(*std::exchange(call.stream, nullptr));
}

std::size_t ScriptedBackend::open_connections() const {
  return static_cast<std::size_t>(
      std::ranges::count_if(connections_, [](const auto& connection) { return connection && connection->fd; }));
}

void ScriptedBackend::disconnect(std::size_t connection) {
  if (is_open(connection)) connections_[connection]->close();
}

void ScriptedBackend::stop_reading(std::size_t connection) { ::shutdown(connections_[connection]->fd.get(), SHUT_RD); }

std::size_t ScriptedBackend::send_raw(std::size_t connection, std::string_view bytes) {
  std::size_t sent = 0;
  while (sent != bytes.size()) {
    const auto got = ::send(connections_[connection]->fd.get(), bytes.data() + sent, bytes.size() - sent,
                            MSG_NOSIGNAL | MSG_DONTWAIT);
    if (got <= 0) break;
    sent += static_cast<std::size_t>(got);
  }
  return sent;
}

// ---------------------------------------------------------------- one connection

void ScriptedBackend::Connection::on_request(wire::Stream& stream, const wire::RequestView& request, bool remote_open) {
  if (request.service == "hostcall.v1.Session") return answer_hello(stream, request);
  auto& call = backend.calls.emplace_back();
  call.connection = position;
  call.id = stream.id();
  call.stream = &stream;
  call.service = request.service;
  call.method = request.method;
  call.payload = request.payload;
  request.for_each_metadata([&](const wire::Metadata& pair) { call.metadata.emplace_back(pair.key, pair.value); });
  call.timeout_nano = request.timeout_nano;
  call.remote_open = remote_open;
  call.said_closed = stream.said_closed;
  stream.context = &call;
}

void ScriptedBackend::Connection::answer_hello(wire::Stream& stream, const wire::RequestView& request) {
  v1::HelloRequest asked;
  if (!asked.ParseFromArray(request.payload.data(), static_cast<int>(request.payload.size())))
    throw std::runtime_error("a malformed Hello");
  const wire::Extension extension{.features = asked.features() & backend.features,
                                  .stream_window = backend.stream_window,
                                  .connection_window = backend.connection_window};
  v1::HelloResponse agreed;
  agreed.set_features(backend.hello == Hello::kNoFeatures ? 0 : extension.features);
  agreed.set_initial_stream_window(backend.hello == Hello::kBadWindow ? 0 : extension.stream_window);
  agreed.set_initial_connection_window(extension.connection_window);
  switch (backend.hello) {
    case Hello::kNothing: return;
    case Hello::kRefuse: return endpoint.respond(stream, {Code::kUnimplemented, "no such service"});
    case Hello::kMalformed: return endpoint.respond(stream, {}, std::string_view("\xff\xff\xff"));
    default: break;
  }
  const auto bytes = agreed.SerializeAsString();
  endpoint.respond(stream, {}, std::string_view(bytes));
  if (backend.hello == Hello::kAgree) endpoint.enable(extension);
}

void ScriptedBackend::Connection::on_data(wire::Stream& stream, std::string_view data) {
  of(stream).messages.emplace_back(data);
  if (backend.returns_credit) endpoint.consumed(stream, data.size());
}

void ScriptedBackend::Connection::on_remote_closed(wire::Stream& stream) { of(stream).closed = true; }

void ScriptedBackend::Connection::on_cancel(wire::Stream& stream, wire::Code) {
  auto& call = of(stream);
  call.cancelled = true;
  call.stream = nullptr;
  endpoint.forget(stream);
}

bool ScriptedBackend::Connection::send() {
  bool moved = false;
  while (fd && !endpoint.output().empty()) {
    std::array<iovec, 16> pieces;
    const auto count = endpoint.output().gather(pieces);
    const auto sent = net::send(fd.get(), {pieces.data(), count});
    if (!sent.ok()) {
      close();
      return true;
    }
    if (*sent == 0) break;
    endpoint.output().consume(*sent);
    moved = true;
  }
  if (moved) endpoint.output_drained();
  return moved;
}

bool ScriptedBackend::Connection::receive() {
  if (!fd) return false;
  std::array<char, 65536> buffer;
  const auto received = net::receive(fd.get(), buffer);
  if (received.ok() && received->would_block) return false;
  if (!received.ok() || received->end || !endpoint.receive({buffer.data(), received->bytes})) close();
  return true;
}

void ScriptedBackend::Connection::close() {
  fd.reset();
  for (auto& call : backend.calls)
    if (call.connection == position) call.stream = nullptr;
}

}  // namespace hostcall::test
