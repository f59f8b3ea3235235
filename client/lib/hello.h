// The Hello exchange as the client sees it: what it says of itself, and what the host agreed to.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "client/lib/channel_options.h"
#include "proto/wire/endpoint.h"

namespace hostcall::client {

inline constexpr std::string_view kSessionService = "hostcall.v1.Session";
inline constexpr std::string_view kHelloMethod = "Hello";

// The agreement of one connection. Default: with a plain ttrpc server.
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

// Serialised HelloRequest; reads the guest's boot id.
std::string hello_request(const ChannelOptions& options);

// Reads a HelloResponse to a Hello with these options; whatever a host may claim in it is cut down to
// what the client can bear. Nothing if the bytes are not one.
std::optional<Agreement> parse_hello(std::string_view payload, const ChannelOptions& options);

}  // namespace hostcall::client
