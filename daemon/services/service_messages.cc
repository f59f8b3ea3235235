#include "daemon/services/service_messages.h"

#include <chrono>

#include "proto/base/bounded_text.h"
#include "proto/base/escape.h"

namespace hostcall::daemon {
namespace {

// A full page of the longest ones fits into one message.
constexpr std::size_t kMaxTarget = 256;
constexpr std::size_t kMaxReason = 1024;

std::uint64_t nano(Duration duration) { return static_cast<std::uint64_t>(nanoseconds(duration).count()); }

v1::ServiceKind kind_of(const ServiceRecord& service) {
  if (service.program() != nullptr) return v1::SERVICE_KIND_PROGRAM;
  return service.socket() != nullptr ? v1::SERVICE_KIND_SOCKET : v1::SERVICE_KIND_SERVER;
}

// Words with spaces or quotes in quotes, so that one can tell them apart.
std::string one_line(const std::vector<std::string>& command) {
  std::string line;
  for (const auto& word : command) {
    if (line.size() > kMaxTarget) break;
    const bool is_plain = !word.empty() && word.find_first_of(" \t\n\"'") == std::string::npos;
    line += (line.empty() ? "" : " ") + (is_plain ? word : in_quotes(word));
  }
  return bounded_text(line, kMaxTarget);
}

std::string target_of(const ServiceRecord& service) {
  if (const auto* program = service.program()) return one_line(program->command);
  return service.socket() != nullptr ? service.socket()->address() : service.routed()->address();
}

std::string preface_name(Preface preface) {
  switch (preface) {
    case Preface::kNone: return "none";
    case Preface::kQrexec: return "qrexec";
    case Preface::kProxyV2: return "proxy-v2";
  }
  return {};
}

void fill_settings(const std::map<std::string, std::string>& settings,
                   google::protobuf::RepeatedPtrField<v1::ServiceSetting>& messages) {
  for (const auto& [name, value] : settings) {
    auto& message = *messages.Add();
    message.set_name(name);
    message.set_value(value);
  }
}

void fill_program(const ProgramService& program, v1::ServiceProgram& message) {
  for (const auto& word : program.command) message.add_command(word);
  for (const auto& pattern : program.arguments) message.add_arguments(pattern.expression());
  message.set_rest(program.rest);
  message.set_dashes(program.dashes);
  fill_settings(program.environment, *message.mutable_environment());
  message.set_directory(program.directory);
  message.set_timeout_nano(nano(program.timeout));
  message.set_start_rate(program.start_rate);
  message.set_start_burst(program.start_burst);
  fill_settings(program.properties, *message.mutable_properties());
}

void fill_socket(const SocketService& socket, v1::ServiceSocket& message) {
  message.set_address(socket.address());
  message.set_preface(preface_name(socket.preface));
  message.set_idle_timeout_nano(nano(socket.idle_timeout));
  message.set_max_bytes(socket.max_bytes);
  message.set_start_rate(socket.start_rate);
  message.set_start_burst(socket.start_burst);
}

void fill_server(const RoutedService& routed, v1::ServiceServer& message) {
  message.set_address(routed.address());
  message.set_protocol(routed.protocol == Protocol::kTtrpc ? "ttrpc" : "hostcall");
  message.set_streaming(routed.streaming);
  for (const auto& key : routed.metadata) message.add_metadata(key);
  if (!routed.described) return;
  for (const auto& [method, shape] : routed.described->methods) message.add_methods(method);
}

}  // namespace

void fill_service(const ServiceRecord& service, std::uint32_t calls, v1::ServiceState& state) {
  state.set_name(service.name);
  state.set_kind(kind_of(service));
  state.set_target(target_of(service));
  state.set_user(service.user);
  state.set_calls(calls);
  state.set_concurrent(service.concurrent);
  state.set_concurrent_per_vm(service.concurrent_per_vm);
  state.set_place(service.place());
}

void fill_disabled(const Services::Disabled& disabled, v1::ServiceState& state) {
  state.set_name(disabled.name);
  state.set_disabled(bounded_text(disabled.why, kMaxReason));
}

void fill_details(const ServiceRecord& service, v1::ServiceShowResponse& response) {
  if (const auto* program = service.program())
    fill_program(*program, *response.mutable_program());
  else if (const auto* socket = service.socket())
    fill_socket(*socket, *response.mutable_socket());
  else
    fill_server(*service.routed(), *response.mutable_server());
  response.set_digest(service.digest);
}

void fill_run(std::uint64_t number, const HostCallInfo& call, TimePoint now, v1::RunState& state) {
  state.set_number(number);
  state.set_kind(kind_of(call.service));
  state.set_vm(call.caller.name());
  state.set_service(call.service.name);
  state.set_place(call.place);
  state.set_age_nano(nano(now - call.began));
  state.set_bytes_in(call.bytes_in);
  state.set_bytes_out(call.bytes_out);
}

}  // namespace hostcall::daemon
