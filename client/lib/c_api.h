// The types behind hostcall.h's handles, and the helpers that its functions share.
#pragma once

#include <hostcall/hostcall.h>

#include <algorithm>
#include <cstring>
#include <exception>
#include <new>
#include <optional>
#include <string>
#include <string_view>

#include "client/lib/channel.h"
#include "client/lib/started_calls.h"

struct hostcall_result : hostcall::client::CallResult {};

struct hostcall_client {
  explicit hostcall_client(hostcall::client::ChannelOptions options) : channel(std::move(options)), started(channel) {}
  hostcall::client::Channel channel;
  hostcall::client::StartedCalls started;
};

namespace hostcall::client {

// Stores a status of this library's own in `result`, which may be null, and returns its code.
int fail(hostcall_result* result, hostcall_code code, std::string_view text);

// Runs `body` and turns an exception into a status: none may cross the C boundary.
template <class Body>
int guarded(hostcall_result* result, Body body) noexcept {
  try {
    return body();
  } catch (const std::bad_alloc&) {
    return fail(result, HOSTCALL_RESOURCE_EXHAUSTED, {});
  } catch (const std::exception& error) {
    return fail(result, HOSTCALL_INTERNAL, error.what());
  }
}

// Reads the caller's versioned struct, which may be null, or of an older or newer library. False: its size is invalid,
// or it sets a field that this version does not know.
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

// The arguments that every call takes. The caller owns `method` and `request`.
struct CallArguments {
  const char* method;
  hostcall_payload request;
  const hostcall_call_options* options;
};
// Fills `spec` and returns null, or returns a static error text.
const char* read_call(const ChannelOptions& defaults, const CallArguments& arguments, TimePoint now, CallSpec& spec);
// Fills the deadline and wait_for_ready only.
const char* read_call_options(const ChannelOptions& defaults, const hostcall_call_options* options, TimePoint now,
                              CallSpec& spec);

// Begins the call, waits for its end and returns its code.
int run_call(Channel& channel, Call& call, TimePoint now);

// Checks the pointers; does not read the payload.
inline bool is_valid(const hostcall_payload& payload) {
  return payload.size == 0 || payload.source != nullptr || payload.write != nullptr;
}
wire::Payload to_wire(const hostcall_payload& payload);

// Fills `out`, or returns an error text.
std::optional<std::string> read_options(const hostcall_options* given, ChannelOptions& out);

}  // namespace hostcall::client
