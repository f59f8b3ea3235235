// The server's half of Hello: what both ends of a connection agree on.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "proto/wire/endpoint.h"

namespace hostcall::server {

bool is_hello(const wire::RequestView& request);

// Reads the HelloRequest. OK: fills in what is agreed on and the HelloResponse to it, from the limits given there.
struct Hello {
  std::uint64_t session_id = 0;
  std::uint32_t max_message_bytes = 0;
  std::uint32_t max_streams = 0;
  wire::Extension extension{};
  std::string response{};
};
wire::Status agree(std::string_view payload, Hello& hello);

}  // namespace hostcall::server
