// What is behind the handles of hostcall.h, and what its functions share. Only the c_*.cc files include it.
#pragma once

#include <hostcall/hostcall.h>

#include <algorithm>
#include <cstring>
#include <exception>
#include <new>
#include <optional>
#include <string>

#include "client/lib/channel.h"
#include "client/lib/started_calls.h"

struct hostcall_result : hostcall::client::CallResult {};

struct hostcall_client {
  explicit hostcall_client(hostcall::client::ChannelOptions options) : channel(std::move(options)), started(channel) {}
  hostcall::client::Channel channel;
  hostcall::client::StartedCalls started;
};

namespace hostcall::client {

// Puts an outcome of this library's own into `result`, which may be null, and returns its code.
int fail(hostcall_result* result, hostcall_code code, std::string text) noexcept;
// The same for what is rare: no string is made in the function that finds the error, where it would cost every call.
[[gnu::cold]] int refuse(hostcall_result* result, hostcall_code code, const char* text) noexcept;

// No exception crosses the C boundary.
template <class Body>
int guarded(hostcall_result* result, Body body) noexcept {
  try {
    return body();
  } catch (const std::bad_alloc&) {
    return refuse(result, HOSTCALL_RESOURCE_EXHAUSTED, "");
  } catch (const std::exception& error) {
    return refuse(result, HOSTCALL_INTERNAL, error.what());
  }
}

// Reads a versioned struct of the caller, which may be null, older or newer. False: its size is
// wrong, or it asks for what this version does not know.
template <class Struct>
bool read_versioned(const Struct* given, Struct& out) {
  if (given != nullptr && given->size == sizeof(Struct)) {
    out = *given;
    return true;
  }
  out = {};
  if (given == nullptr) return true;
  if (given->size < sizeof given->size) return false;
  const auto* bytes = reinterpret_cast<const char*>(given);
  for (std::size_t i = sizeof(Struct); i < given->size; ++i)
    if (bytes[i] != 0) return false;
  std::memcpy(&out, given, std::min(given->size, sizeof(Struct)));
  return true;
}

// What every call has in common, checked and filled in. `method` and `request` are the caller's memory.
struct CallArguments {
  const char* method;
  hostcall_payload request;
  const hostcall_call_options* options;
};
// Fills `spec` and returns null; the error's text, which is static, otherwise.
const char* read_call(const ChannelOptions& defaults, const CallArguments& arguments, TimePoint now, CallSpec& spec);
// The deadline and readiness part of it.
const char* read_call_options(const ChannelOptions& defaults, const hostcall_call_options* options, TimePoint now,
                              CallSpec& spec);

// Begins the call and waits for its end; its code.
int run_call(Channel& channel, Call& call, TimePoint now);

// Whether the payload can be used; it is never read here.
inline bool is_valid(const hostcall_payload& payload) {
  return payload.size == 0 || payload.source != nullptr || payload.write != nullptr;
}
wire::Payload to_wire(const hostcall_payload& payload);

// Fills the options; the error's text otherwise.
std::optional<std::string> read_options(const hostcall_options* given, ChannelOptions& out);

}  // namespace hostcall::client
