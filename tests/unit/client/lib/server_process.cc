#include "tests/unit/client/lib/server_process.h"

#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "hostcall/v1/diagnostics.pb.h"
#include "hostcall/v1/host.pb.h"

namespace hostcall::test {
namespace {

void serve_call(HostConnection& connection, SeenCall& call) {
  if (call.method == "Echo") return connection.respond(call, call.payload);
  if (call.method == "Fail") return connection.respond(call, {wire::Code::kAborted, "as asked", milliseconds(1500)});
  if (call.method == "Drop") return connection.close();
  if (call.method == "Info") {
    v1::InfoResponse info;
    info.set_host_name("host.example");
    return connection.respond(call, info.SerializeAsString());
  }
  if (call.method != "Source") return;
  for (int i = 0; i < 10; ++i) {
    v1::Chunk chunk;
    chunk.set_data(std::to_string(i));
    if (connection.send(call, chunk.SerializeAsString()) != wire::SendOutcome::kSent) return connection.close();
  }
  connection.close_stream(call);
}

void drain_echo(HostConnection& connection, SeenCall& call) {
  while (!call.backlog.empty() && connection.send(call, call.backlog.front()) == wire::SendOutcome::kSent)
    call.backlog.pop_front();
  if (call.backlog.empty() && call.closed) connection.close_stream(call);
}

void serve_message(HostConnection& connection, SeenCall& call, std::string_view message) {
  if (call.method != "EchoStream") return;
  call.backlog.emplace_back(message);
  drain_echo(connection, call);
}

void serve_close(HostConnection& connection, SeenCall& call) {
  if (call.method == "EchoStream") return drain_echo(connection, call);
  v1::SinkResponse counts;
  counts.set_messages(call.messages.size());
  connection.respond(call, counts.SerializeAsString());
}

}  // namespace

ServerProcess::ServerProcess(Script script) {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) std::abort();
  control_ = UniqueFd::adopt(ends[0]);
  const auto theirs = UniqueFd::adopt(ends[1]);
  ScriptedHost host(std::move(script));
  address_ = host.address().to_string();
  child_ = ::fork();
  if (child_ != 0) return;  // the listening socket lives on in the child
  control_.reset();
  while (host.wait(theirs.get())) host.serve();
  ::_exit(0);
}

ServerProcess::~ServerProcess() {
  control_.reset();
  ::waitpid(child_, nullptr, 0);
}

Script serving_script() {
  auto script = extended_script();
  script.on_call = serve_call;
  script.on_message = serve_message;
  script.on_closed = serve_close;
  script.on_writable = drain_echo;
  return script;
}

}  // namespace hostcall::test
