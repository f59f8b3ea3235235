#include "client/lib/hello.h"

#include <algorithm>

#include "hostcall/v1/session.pb.h"
#include "proto/base/bounded_text.h"
#include "proto/base/read_file.h"

namespace hostcall::client {
namespace {

constexpr std::size_t kMaxText = 256;
// With a shorter interval a host could keep the guest busy.
constexpr milliseconds kMinHeartbeat{100};
constexpr milliseconds kMaxHeartbeat = std::chrono::hours(24);

// All features; the checksum costs time and is opt-in.
std::uint64_t wanted_features(const ChannelOptions& options) {
  return options.crc ? wire::kAllFeatures : wire::kAllFeatures & ~std::uint64_t{wire::kFeatureCrc32c};
}

// "8f3c…"; empty if the kernel does not provide it.
std::string read_boot_id() {
  const auto text = read_file("/proc/sys/kernel/random/boot_id", kMaxText);
  return text.ok() ? text.value().substr(0, text.value().find('\n')) : std::string();
}

milliseconds heartbeat(std::uint32_t ms) {
  if (ms == 0) return {};
  return std::clamp(milliseconds(ms), kMinHeartbeat, kMaxHeartbeat);
}

}  // namespace

std::string hello_request(const ChannelOptions& options) {
  v1::HelloRequest request;
  request.set_client_name(options.client_name);
  request.set_client_version(options.client_version);
  request.set_features(wanted_features(options));
  request.set_boot_id(read_boot_id());
  return request.SerializeAsString();
}

std::optional<Agreement> parse_hello(std::string_view payload, const ChannelOptions& options) {
  v1::HelloResponse response;
  if (!response.ParseFromArray(payload.data(), static_cast<int>(payload.size()))) return std::nullopt;
  Agreement agreement;
  agreement.extension = {.features = response.features() & wanted_features(options),
                         .stream_window = response.initial_stream_window(),
                         .connection_window = response.initial_connection_window()};
  agreement.session_id = response.session_id();
  agreement.vm_name = bounded_text(response.vm_name(), kMaxText);
  agreement.daemon_epoch = bounded_text(response.daemon_epoch(), kMaxText);
  agreement.daemon_version = bounded_text(response.daemon_version(), kMaxText);
  if (const auto bytes = response.max_message_bytes(); bytes != 0)
    agreement.max_message_bytes = std::min(bytes, wire::kMaxDataBytes);
  agreement.max_streams = response.max_streams();
  agreement.heartbeat_interval = heartbeat(response.heartbeat_interval_ms());
  return agreement;
}

}  // namespace hostcall::client
