// hostcall.h: unary calls, and reading the arguments that all calls take.
#include <memory>

#include "client/lib/c_api.h"

namespace hostcall::client {
namespace {

constexpr std::size_t kMaxMethodName = 512;

const char* read_method(const char* method, CallSpec& spec) {
  const std::string_view name = method == nullptr ? std::string_view() : std::string_view(method);
  const auto slash = name.rfind('/');
  if (slash == std::string_view::npos || slash == 0 || slash + 1 == name.size() || name.size() > kMaxMethodName)
    return "method: write \"package.Service/Method\", at most 512 bytes";
  spec.service = name.substr(0, slash);
  spec.method = name.substr(slash + 1);
  return nullptr;
}

}  // namespace

const char* read_call_options(const ChannelOptions& defaults, const hostcall_call_options* options, TimePoint now,
                              CallSpec& spec) {
  hostcall_call_options read;
  if (!read_versioned(options, read)) return "hostcall_call_options.size is wrong, or asks for a newer library";
  Duration timeout = defaults.call_timeout;
  if (read.timeout_ms != 0)
    timeout = read.timeout_ms == HOSTCALL_NO_TIMEOUT ? Duration::max() : milliseconds(read.timeout_ms);
  spec.deadline = deadline_after(now, timeout);
  spec.wait_for_ready = read.wait_for_ready != 0;
  return nullptr;
}

const char* read_call(const ChannelOptions& defaults, const CallArguments& arguments, TimePoint now, CallSpec& spec) {
  if (!is_valid(arguments.request)) return "request: source is null, size is not 0";
  if (const auto* error = read_method(arguments.method, spec)) return error;
  spec.payload = to_wire(arguments.request);
  return read_call_options(defaults, arguments.options, now, spec);
}

wire::Payload to_wire(const hostcall_payload& payload) {
  if (payload.write != nullptr) return {payload.source, payload.size, payload.write};
  return std::string_view(static_cast<const char*>(payload.source), payload.size);
}

// The caller's thread reads the reply itself: no other thread, no wake-up between threads.
int run_call(Channel& channel, Call& call, TimePoint now) {
  channel.begin(call, now);
  while (!call.ended()) now = channel.wait(kNever, now);
  return static_cast<int>(call.result.status.code);
}

}  // namespace hostcall::client

using namespace hostcall::client;
using hostcall::Clock;

namespace {

int call(Channel& channel, const CallArguments& arguments, hostcall_result& result) {
  Call call(result);
  const auto now = Clock::now();
  if (const auto* error = read_call(channel.options(), arguments, now, call.spec))
    return fail(&result, HOSTCALL_INVALID_ARGUMENT, error);
  return run_call(channel, call, now);
}

}  // namespace

int hostcall_call(hostcall_client* client, const char* method, hostcall_payload request,
                  const hostcall_call_options* options, hostcall_result* result) {
  return guarded(result, [&]() -> int {
    if (client == nullptr) return fail(result, HOSTCALL_INVALID_ARGUMENT, "client is null");
    if (result != nullptr) return call(client->channel, {method, request, options}, *result);
    const auto unwanted = std::make_unique<hostcall_result>();
    return hostcall_call(client, method, request, options, unwanted.get());
  });
}

int hostcall_start(hostcall_client* client, const char* method, hostcall_payload request,
                   const hostcall_call_options* options, hostcall_callback callback, void* user, std::uint64_t* id) {
  return guarded(nullptr, [&]() -> int {
    CallSpec spec;
    if (client == nullptr || callback == nullptr) return HOSTCALL_INVALID_ARGUMENT;
    const auto now = Clock::now();
    if (read_call(client->channel.options(), {method, request, options}, now, spec)) return HOSTCALL_INVALID_ARGUMENT;
    std::uint64_t ignored = 0;
    return client->started.start(spec, callback, user, id == nullptr ? ignored : *id, now);
  });
}

int hostcall_cancel(hostcall_client* client, std::uint64_t id) {
  if (client == nullptr) return HOSTCALL_INVALID_ARGUMENT;
  return guarded(nullptr, [&]() -> int {
    client->started.cancel(id);
    return HOSTCALL_OK;
  });
}
