// The client's half of Hello: the request, and the agreement that the host's answer makes.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "client/lib/channel_options.h"
#include "proto/wire/endpoint.h"

namespace hostcall::client {

inline constexpr std::string_view kSessionService = "hostcall.v1.Session";
inline constexpr std::string_view kHelloMethod = "Hello";

// What both ends of a link agreed on. The default is the agreement with a plain ttrpc server.
struct Agreement {
  wire::Extension extension;
  std::uint64_t session_id = 0;
  std::string vm_name;
  std::string daemon_epoch;
  std::string daemon_version;
  std::uint32_t max_message_bytes = wire::kMaxDataBytes;
  std::uint32_t max_streams = 0;
  milliseconds heartbeat_interval{};
};

// Returns a serialised HelloRequest; reads the guest's boot id.
std::string hello_request(const ChannelOptions& options);

// Reads the HelloResponse to a Hello with these options and clamps its values to safe ranges. Nothing: the bytes are
// not a HelloResponse.
std::optional<Agreement> parse_hello(std::string_view payload, const ChannelOptions& options);

}  // namespace hostcall::client
