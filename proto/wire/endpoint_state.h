// EndpointState: all that an endpoint knows, so that another process can go on with its connection. Output that is not
// sent yet is not part of it: see Endpoint::output().
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "proto/wire/reader.h"
#include "proto/wire/window.h"

namespace hostcall::wire {

// What both ends agreed on in Hello.
struct Extension {
  std::uint64_t features = 0;
  std::uint32_t stream_window = 0;
  std::uint32_t connection_window = 0;
};

struct StreamState {
  std::uint32_t id = 0;
  std::int64_t send_credit = 0;
  ReceiveWindowState receive;
  std::int64_t unconsumed = 0;
  std::int64_t kept = 0;
  bool remote_open = false;
  bool local_open = false;
  bool said_closed = false;
};

struct EndpointState {
  Extension extension;
  std::int64_t send_credit = 0;
  ReceiveWindowState receive;
  std::uint64_t frames_received = 0;
  std::uint32_t last_remote = 0;
  std::vector<std::uint32_t> skipped;
  std::uint32_t next_local = 1;
  bool goaway_sent = false;
  bool goaway_received = false;
  // Of the streams, only those that the owner keeps.
  std::vector<StreamState> streams;
  // The frame that is being skipped, because it exceeds a limit.
  std::optional<SkippedFrame> skipping;
};

}  // namespace hostcall::wire
