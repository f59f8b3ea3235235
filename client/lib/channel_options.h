// ChannelOptions: hostcall_options with all defaults filled in; c_client.cc maps them.
#pragma once

#include <cstdint>
#include <string>

#include "proto/base/clock.h"
#include "proto/net/address.h"

namespace hostcall::client {

struct ChannelOptions {
  net::Address address;
  std::string client_name;
  std::string client_version;
  // Duration::max(): none.
  Duration call_timeout = seconds(30);
  Duration hello_timeout = seconds(20);
  Duration connect_budget = seconds(5);
  milliseconds connect_timeout{2'000};
  Duration busy_poll{};  // how long blocking calls poll before they sleep
  milliseconds backoff_base{50};
  milliseconds backoff_cap{5'000};
  std::size_t max_queued_calls = 1024;
  static constexpr std::size_t kDefaultUnreadBytes = 1u << 20;
  std::size_t max_unread_bytes = kDefaultUnreadBytes;
  std::uint32_t source_port = 0;
  bool privileged_port = false;  // any free one; excludes source_port and Unix addresses
  bool crc = false;
  bool wait_for_ready = false;
  std::uint64_t jitter_seed = 0;
  std::uint32_t first_stream = 1;  // id of the first call on each connection
};

}  // namespace hostcall::client
