#include "tests/unit/client/hostcall/scripted_services.h"

#include <algorithm>
#include <cctype>
#include <map>
#include <utility>

#include "hostcall/v1/relay.pb.h"
#include "hostcall/v1/run.pb.h"

namespace hostcall::test {
namespace {

std::string open_response(std::string_view data, bool eof) {
  v1::OpenResponse response;
  response.set_data(data.data(), data.size());
  response.set_eof(eof);
  return response.SerializeAsString();
}

// What both kinds of services have in common. False: the call does not begin.
bool opens(HostConnection& connection, SeenCall& call, const std::string& service) {
  static bool was_refused = false;
  call.payload = service;
  if (service == "hang") return false;
  if (std::ranges::all_of(service, [](unsigned char c) { return std::isdigit(c); })) {
    connection.respond(call, {static_cast<wire::Code>(std::stoi(service)), "as asked", {}});
    return false;
  }
  if (service != "later" || std::exchange(was_refused, true)) return true;
  connection.respond(call, {wire::Code::kResourceExhausted, "start_rate", milliseconds(50)});
  return false;
}

void lose(HostConnection& connection) {
  connection.flush();
  connection.close();
}

// One relay, in the call's own members: `payload` is the service's name, once it is known.
class ScriptedRelay {
 public:
  ScriptedRelay(HostConnection& connection, SeenCall& call) : connection_(connection), call_(call) {}

  void on_message(std::string_view message) {
    v1::OpenRequest request;
    request.ParseFromArray(message.data(), static_cast<int>(message.size()));
    call_.messages.clear();
    if (!request.service().empty()) return open(request.service());
    bytes_in(request.data());
    if (request.eof()) end_in();
  }
  void go_on() {
    while (!call_.backlog.empty() && connection_.send(call_, call_.backlog.front()) == wire::SendOutcome::kSent)
      call_.backlog.pop_front();
    while (call_.backlog.empty() && call_.payload == "endless")
      if (connection_.send(call_, open_response(std::string(60'000, 'e'), false)) != wire::SendOutcome::kSent) return;
    if (call_.backlog.empty() && call_.closed) connection_.close_stream(call_);
  }

 private:
  void open(const std::string& service) {
    if (!opens(connection_, call_, service)) return;
    say("", false);
    if (service == "farewell") say("bye", true);
    if (service == "break") lose(connection_);
  }
  void bytes_in(const std::string& bytes) {
    if (call_.payload == "count") counted_[call_.id] += bytes.size();
    if ((call_.payload == "echo" || call_.payload == "later") && !bytes.empty()) say(bytes, false);
  }
  void end_in() {
    if (call_.payload == "endless") return;
    if (call_.payload == "count") say(std::to_string(counted_[call_.id]), false);
    if (call_.payload != "farewell") say("", true);
    call_.closed = true;
    go_on();
  }
  void say(std::string_view data, bool eof) {
    call_.backlog.push_back(open_response(data, eof));
    go_on();
  }

  static std::map<std::uint32_t, std::size_t> counted_;
  HostConnection& connection_;
  SeenCall& call_;
};
std::map<std::uint32_t, std::size_t> ScriptedRelay::counted_;

// One program.
class ScriptedRun {
 public:
  ScriptedRun(HostConnection& connection, SeenCall& call) : connection_(connection), call_(call) {}

  void on_message(std::string_view message) {
    v1::StartRequest request;
    request.ParseFromArray(message.data(), static_cast<int>(message.size()));
    call_.messages.clear();
    if (!request.service().empty()) return start(request);
    if (call_.payload != "cat" && call_.payload != "later") return;
    if (!request.stdin_data().empty()) write(request.stdin_data());
    if (request.stdin_eof()) end({});
  }
  void go_on() {
    while (!call_.backlog.empty() && connection_.send(call_, call_.backlog.front()) == wire::SendOutcome::kSent)
      call_.backlog.pop_front();
    while (call_.backlog.empty() && call_.payload == "endless") {
      v1::StartResponse response;
      response.set_stdout_data(std::string(60'000, 'e'));
      if (connection_.send(call_, response.SerializeAsString()) != wire::SendOutcome::kSent) return;
    }
    if (call_.backlog.empty() && call_.closed) connection_.close_stream(call_);
  }

 private:
  void start(const v1::StartRequest& request) {
    const auto& service = request.service();
    if (!opens(connection_, call_, service)) return;
    say({});
    if (service == "break") return lose(connection_);
    if (service == "words") {
      for (const auto& argument : request.arguments()) write("[" + argument + "]");
      return end({});
    }
    if (service != "ended" && service != "vanish") return;
    write("out");
    v1::StartResponse errors;
    errors.set_stderr_data("err");
    say(errors);
    if (service == "vanish") return finish();
    v1::Ended ended;
    ended.set_exit_code(static_cast<std::uint32_t>(std::stoul(request.arguments(0))));
    ended.set_signal(static_cast<std::uint32_t>(std::stoul(request.arguments(1))));
    ended.set_reason(request.arguments(2));
    end(ended);
  }
  void write(std::string_view bytes) {
    v1::StartResponse response;
    response.set_stdout_data(bytes.data(), bytes.size());
    say(response);
  }
  void end(const v1::Ended& ended) {
    v1::StartResponse response;
    *response.mutable_ended() = ended;
    say(response);
    finish();
  }
  void say(const v1::StartResponse& response) {
    call_.backlog.push_back(response.SerializeAsString());
    go_on();
  }
  void finish() {
    call_.closed = true;
    go_on();
  }

  HostConnection& connection_;
  SeenCall& call_;
};

// Passes it to the service that the call is for.
template <class Visit>
void with_service(HostConnection& connection, SeenCall& call, const Visit& visit) {
  if (call.service == "hostcall.v1.Relay") return visit(ScriptedRelay(connection, call));
  if (call.service == "hostcall.v1.Run") return visit(ScriptedRun(connection, call));
}

}  // namespace

Script services_script() {
  auto script = extended_script();
  script.on_message = [](HostConnection& connection, SeenCall& call, std::string_view message) {
    with_service(connection, call, [&](auto service) { service.on_message(message); });
  };
  script.on_writable = [](HostConnection& connection, SeenCall& call) {
    with_service(connection, call, [](auto service) { service.go_on(); });
  };
  return script;
}

}  // namespace hostcall::test
