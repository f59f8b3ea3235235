#include "tests/unit/client/lib/scripted_host.h"

#include <poll.h>
#include <unistd.h>

#include <algorithm>

#include "proto/net/socket.h"

namespace hostcall::test {
namespace {

net::Address fresh_address() {
  static int count = 0;
  return net::Address::parse("unix:@hostcall-test-" + std::to_string(::getpid()) + "-" + std::to_string(++count))
      .value();
}

SeenCall& seen(wire::Stream& stream) { return *static_cast<SeenCall*>(stream.context); }

}  // namespace

HostConnection::HostConnection(UniqueFd fd, const Script& script)
    : fd_(std::move(fd)), script_(script), endpoint_({}, *this) {}

bool HostConnection::serve() {
  char buffer[64 * 1024];
  while (open() && !pause_reading) {
    const auto received = net::receive(fd_.get(), buffer);
    if (!received.ok() || received.value().end) close();
    if (!open() || received.value().would_block) break;
    if (!endpoint_.receive({buffer, received.value().bytes})) close();
  }
  flush();
  return open();
}

void HostConnection::flush() {
  iovec pieces[16];
  while (open() && !endpoint_.output().empty()) {
    const auto sent = net::send(fd_.get(), {pieces, endpoint_.output().gather(pieces)});
    if (!sent.ok()) return close();
    if (sent.value() == 0) return;
    endpoint_.output().consume(sent.value());
  }
  endpoint_.output_drained();
}

void HostConnection::send_raw(std::string_view bytes) {
  std::memcpy(endpoint_.output().extend(bytes.size()), bytes.data(), bytes.size());
  flush();
}

void HostConnection::respond(SeenCall& call, const wire::Status& status, std::string_view payload) {
  endpoint_.respond(*std::exchange(call.stream, nullptr), status, payload);
}

wire::SendOutcome HostConnection::send(SeenCall& call, std::string_view message) {
  return endpoint_.send_data(*call.stream, message);
}

void HostConnection::close_stream(SeenCall& call) { endpoint_.close_stream(*std::exchange(call.stream, nullptr)); }

SeenCall* HostConnection::find(std::string_view method) {
  const auto it = std::find_if(calls.rbegin(), calls.rend(), [&](const SeenCall& c) { return c.method == method; });
  return it == calls.rend() ? nullptr : &*it;
}

void HostConnection::on_request(wire::Stream& stream, const wire::RequestView& request, bool remote_open) {
  if (request.service == "hostcall.v1.Session" && request.method == "Hello") return answer_hello(stream, request);
  calls.push_back({.id = stream.id(),
                   .service = std::string(request.service),
                   .method = std::string(request.method),
                   .payload = std::string(request.payload),
                   .timeout_nano = request.timeout_nano,
                   .stream = &stream,
                   .messages = {},
                   .closed = !remote_open,
                   .cancels = {},
                   .backlog = {}});
  stream.context = &calls.back();
  if (script_.on_call) script_.on_call(*this, calls.back());
}

void HostConnection::answer_hello(wire::Stream& stream, const wire::RequestView& request) {
  hello.emplace().ParseFromArray(request.payload.data(), static_cast<int>(request.payload.size()));
  if (!script_.answer_hello) return;
  if (!script_.hello.ok()) return endpoint_.respond(stream, script_.hello);
  auto agreement = script_.agreement;
  agreement.set_features(agreement.features() & hello->features());
  const auto reply = agreement.SerializeAsString();
  endpoint_.respond(stream, {}, std::string_view(reply));
  endpoint_.enable({.features = agreement.features(),
                    .stream_window = agreement.initial_stream_window(),
                    .connection_window = agreement.initial_connection_window()});
}

void HostConnection::on_data(wire::Stream& stream, std::string_view data) {
  auto& call = seen(stream);
  call.messages.emplace_back(data);
  if (script_.on_message) script_.on_message(*this, call, data);
  if (call.stream != nullptr) endpoint_.consumed(stream, data.size());
}

void HostConnection::on_remote_closed(wire::Stream& stream) {
  seen(stream).closed = true;
  if (script_.on_closed) script_.on_closed(*this, seen(stream));
}

void HostConnection::on_writable(wire::Stream& stream) {
  ++writable;
  if (script_.on_writable) script_.on_writable(*this, seen(stream));
}

void HostConnection::on_cancel(wire::Stream& stream, wire::Code code) {
  auto& call = seen(stream);
  call.cancels.push_back(code);
  call.stream = nullptr;
  endpoint_.forget(stream);
}

ScriptedHost::ScriptedHost(Script what) : script(std::move(what)), address_(fresh_address()) { listen_again(); }

void ScriptedHost::listen_again() { listener_ = net::listen(address_).value(); }

void ScriptedHost::serve() {
  while (listener_) {
    auto fd = net::accept(listener_.get());
    if (!fd.ok()) break;
    connections.push_back(std::make_unique<HostConnection>(std::move(*fd), script));
  }
  for (auto& connection : connections)
    if (connection->open()) connection->serve();
}

bool ScriptedHost::wait(int control) {
  std::vector<pollfd> entries{{.fd = control, .events = POLLIN, .revents = 0},
                              {.fd = listener_.get(), .events = POLLIN, .revents = 0}};
  for (auto& connection : connections) {
    const int wanted = POLLIN | (connection->has_output() ? POLLOUT : 0);
    entries.push_back({.fd = connection->fd(), .events = static_cast<short>(wanted), .revents = 0});
  }
  ::poll(entries.data(), entries.size(), -1);
  return entries[0].revents == 0;
}

Script extended_script() {
  Script script;
  script.agreement.set_features(wire::kAllFeatures);
  script.agreement.set_session_id(7);
  script.agreement.set_vm_name("web1");
  script.agreement.set_daemon_epoch("e1");
  script.agreement.set_daemon_version("9.9");
  script.agreement.set_max_message_bytes(256 * 1024);
  script.agreement.set_max_streams(256);
  script.agreement.set_initial_stream_window(64 * 1024);
  script.agreement.set_initial_connection_window(256 * 1024);
  return script;
}

Script answering_script() {
  auto script = extended_script();
  script.on_call = [](HostConnection& connection, SeenCall& call) {
    connection.respond(call, "reply to " + call.payload);
  };
  return script;
}

}  // namespace hostcall::test
