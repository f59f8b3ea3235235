// hostcall.h: options, clients, their sessions and their event loop.
#include <cerrno>
#include <climits>
#include <cstddef>
#include <cstdlib>
#include <random>

#include "client/lib/c_api.h"
#include "client/lib/hello.h"

namespace hostcall::client {
namespace {

constexpr std::size_t kMaxName = 64;
constexpr std::uint32_t kMaxBusyPollUsec = 1'000;

// A struct of the interface that ends in padding would let a later field fall into bytes that old programs count as
// theirs and never set.
#define HOSTCALL_ENDS_WITH(Struct, field) \
  static_assert(sizeof(Struct) == offsetof(Struct, field) + sizeof(Struct::field), "padding at the end of " #Struct)
HOSTCALL_ENDS_WITH(hostcall_options, reserved);
HOSTCALL_ENDS_WITH(hostcall_call_options, wait_for_ready);
HOSTCALL_ENDS_WITH(hostcall_session, reserved);
#undef HOSTCALL_ENDS_WITH

bool is_printable(char c) { return c >= ' ' && c <= '~'; }

std::optional<std::string> read_name(const char* given, std::string& out) {
  if (given == nullptr) return std::nullopt;
  out = given;
  if (out.size() <= kMaxName && std::ranges::all_of(out, is_printable)) return std::nullopt;
  return "client name and version: at most 64 printable ASCII characters";
}

std::string program_name() {
  std::string name = std::string(program_invocation_short_name).substr(0, kMaxName);
  std::ranges::replace_if(
      name, [](char c) { return !is_printable(c); }, '?');
  return name;
}

std::string address_text(const char* given) {
  if (given != nullptr) return given;
  const char* environment = ::secure_getenv("HOSTCALL_ADDRESS");
  return environment != nullptr && *environment != '\0' ? environment : net::kDefaultAddress;
}

std::optional<std::string> read_address(const char* given, net::Address& out) {
  auto address = net::Address::parse_peer(address_text(given));
  if (!address.ok()) return address.error().message();
  out = std::move(*address);
  return std::nullopt;
}

// A privileged port is evidence for policy: without one, calls would fail later and for no visible reason.
std::optional<std::string> read_source(const hostcall_options& options, ChannelOptions& out) {
  out.source_port = options.source_port;
  out.privileged_port = options.privileged_port != 0;
  if (!out.privileged_port) return std::nullopt;
  if (out.source_port != 0) return "source_port and privileged_port exclude each other";
  if (out.address.family != net::Address::Family::kVsock)
    return "privileged_port needs vsock: " + out.address.to_string() + " has no ports";
  return std::nullopt;
}

void set_time(std::uint32_t ms, Duration& out) {
  if (ms != 0) out = ms == HOSTCALL_NO_TIMEOUT ? Duration::max() : milliseconds(ms);
}
void set_time(std::uint32_t ms, milliseconds& out) {
  if (ms != 0) out = milliseconds(ms);
}
void set_count(std::uint32_t count, std::size_t& out) {
  if (count != 0) out = count;
}

}  // namespace

std::optional<std::string> read_options(const hostcall_options* given, ChannelOptions& out) {
  hostcall_options options;
  if (!read_versioned(given, options)) return "hostcall_options.size is wrong, or asks for a newer library";
  out.client_name = program_name();
  if (auto error = read_address(options.address, out.address)) return error;
  if (auto error = read_source(options, out)) return error;
  if (auto error = read_name(options.client_name, out.client_name)) return error;
  if (auto error = read_name(options.client_version, out.client_version)) return error;
  set_time(options.call_timeout_ms, out.call_timeout);
  set_time(options.hello_timeout_ms, out.hello_timeout);
  set_time(options.connect_budget_ms, out.connect_budget);
  set_time(options.connect_timeout_ms, out.connect_timeout);
  set_time(options.backoff_base_ms, out.backoff_base);
  set_time(options.backoff_cap_ms, out.backoff_cap);
  set_count(options.max_queued_calls, out.max_queued_calls);
  set_count(options.max_unread_bytes, out.max_unread_bytes);
  if (options.busy_poll_usec > kMaxBusyPollUsec) return "busy_poll_usec: at most " + std::to_string(kMaxBusyPollUsec);
  if (options.reserved != 0) return "hostcall_options.reserved must be 0";
  out.busy_poll = std::chrono::microseconds(options.busy_poll_usec);
  out.crc = options.crc != 0;
  out.wait_for_ready = options.wait_for_ready != 0;
  out.jitter_seed = std::random_device{}();
  return std::nullopt;
}

}  // namespace hostcall::client

using namespace hostcall::client;
using hostcall::Clock;

int hostcall_client_new(const hostcall_options* options, hostcall_client** client, hostcall_result* result) {
  return guarded(result, [&]() -> int {
    if (client == nullptr) return fail(result, HOSTCALL_INVALID_ARGUMENT, "client is null");
    *client = nullptr;
    ChannelOptions read;
    if (auto error = read_options(options, read)) return fail(result, HOSTCALL_INVALID_ARGUMENT, *error);
    *client = new hostcall_client(std::move(read));
    return fail(result, HOSTCALL_OK, {});
  });
}

void hostcall_client_free(hostcall_client* client) {
  if (client == nullptr) return;
  guarded(nullptr, [&]() -> int {
    client->channel.close(Clock::now());
    client->channel.process(Clock::now());
    return HOSTCALL_OK;
  });
  delete client;
}

int hostcall_connect(hostcall_client* client, const hostcall_call_options* options, hostcall_result* result) {
  return guarded(result, [&]() -> int {
    if (client == nullptr) return fail(result, HOSTCALL_INVALID_ARGUMENT, "client is null");
    CallResult unwanted;
    Call call(result == nullptr ? unwanted : *result);
    const auto now = Clock::now();
    if (const auto* error = read_call_options(client->channel.options(), options, now, call.spec))
      return fail(result, HOSTCALL_INVALID_ARGUMENT, error);
    return run_call(client->channel, call, now);
  });
}

int hostcall_get_session(const hostcall_client* client, hostcall_session* session) {
  if (client == nullptr || session == nullptr || session->size < sizeof session->size) return HOSTCALL_INVALID_ARGUMENT;
  const auto* agreed = client->channel.agreement();
  if (agreed == nullptr) return HOSTCALL_UNAVAILABLE;
  const auto size = std::min(session->size, sizeof(hostcall_session));
  const hostcall_session filled{
      .size = session->size,
      .session_id = agreed->session_id,
      .features = agreed->extension.features,
      .vm_name = agreed->vm_name.c_str(),
      .daemon_epoch = agreed->daemon_epoch.c_str(),
      .daemon_version = agreed->daemon_version.c_str(),
      .max_message_bytes = agreed->max_message_bytes,
      .max_streams = agreed->max_streams,
      .heartbeat_interval_ms = static_cast<std::uint32_t>(agreed->heartbeat_interval.count())};
  std::memcpy(session, &filled, size);
  return HOSTCALL_OK;
}

int hostcall_fd(hostcall_client* client) {
  if (client == nullptr) return -1;
  return client->channel.fd();
}

int hostcall_watch(hostcall_client* client, int epoll_fd, std::uint64_t data) {
  if (client == nullptr || epoll_fd < 0) return HOSTCALL_INVALID_ARGUMENT;
  return client->channel.watch_in(epoll_fd, data) ? HOSTCALL_OK : HOSTCALL_FAILED_PRECONDITION;
}

int hostcall_timeout_ms(const hostcall_client* client) {
  if (client == nullptr) return -1;
  const auto when = client->channel.next_timeout();
  if (when == hostcall::kNever) return -1;
  const auto now = Clock::now();
  if (when <= now) return 0;
  const auto ms = std::chrono::ceil<hostcall::milliseconds>(when - now).count();
  return static_cast<int>(std::min<decltype(ms)>(ms, INT_MAX));
}

std::int64_t hostcall_due_ns(const hostcall_client* client) {
  if (client == nullptr) return INT64_MAX;
  const hostcall::nanoseconds due = client->channel.next_timeout().time_since_epoch();
  return std::max<std::int64_t>(due.count(), 0);
}

int hostcall_process(hostcall_client* client) {
  if (client == nullptr) return HOSTCALL_INVALID_ARGUMENT;
  return guarded(nullptr, [&]() -> int {
    client->channel.process(Clock::now());
    return HOSTCALL_OK;
  });
}

int hostcall_wait(hostcall_client* client, std::uint32_t timeout_ms) {
  if (client == nullptr) return HOSTCALL_INVALID_ARGUMENT;
  return guarded(nullptr, [&]() -> int {
    const auto until =
        timeout_ms == HOSTCALL_NO_TIMEOUT ? hostcall::kNever : Clock::now() + hostcall::milliseconds(timeout_ms);
    client->channel.wait(until);
    return HOSTCALL_OK;
  });
}
