// Requests as bytes, for scripts of hostile peers. tests/support/frames.h has frames of any kind.
#pragma once

#include <google/protobuf/message_lite.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "hostcall/v1/diagnostics.pb.h"
#include "hostcall/v1/session.pb.h"
#include "hostcall/v1/store.pb.h"
#include "proto/wire/crc32c.h"
#include "tests/support/frames.h"

namespace hostcall::test {

// A call of "Store/Get" and the like.
inline std::string raw_call(std::uint32_t stream, std::string_view method, std::string_view payload = {},
                            std::uint8_t flags = 0, std::int64_t timeout_nano = 0) {
  const auto slash = method.find('/');
  const auto service = "hostcall.v1." + std::string(method.substr(0, slash));
  return request_frame(stream, {.service = service, .method = method.substr(slash + 1), .timeout_nano = timeout_nano},
                       payload, flags);
}

inline std::string call(std::uint32_t stream, std::string_view method,
                        const google::protobuf::MessageLite& request = v1::PingRequest(), std::uint8_t flags = 0,
                        std::int64_t timeout_nano = 0) {
  return raw_call(stream, method, request.SerializeAsString(), flags, timeout_nano);
}

inline v1::HelloRequest hello(std::uint64_t features, const std::string& boot_id = "boot-1") {
  v1::HelloRequest request;
  request.set_client_name("hostile");
  request.set_boot_id(boot_id);
  request.set_features(features);
  return request;
}

inline std::string hello_call(std::uint64_t features, const std::string& boot_id = "boot-1") {
  return call(1, "Session/Hello", hello(features, boot_id));
}

// A frame with its checksum.
inline std::string checked(std::string frame) {
  append_be32(frame, wire::crc32c(0, frame));
  return frame;
}

inline std::string cancel(std::uint32_t stream) { return frame(wire::FrameType::kCancel, stream, 0, be32(1)); }
inline std::string window(std::uint32_t stream, std::uint32_t credit) {
  return frame(wire::FrameType::kWindow, stream, 0, be32(credit));
}
inline std::string ping() { return frame(wire::FrameType::kPing, 0, 0, "12345678"); }

inline v1::EchoRequest echo(std::size_t bytes, std::uint32_t delay_ms = 0) {
  v1::EchoRequest request;
  request.set_payload(std::string(bytes, 'x'));
  request.set_delay_ms(delay_ms);
  return request;
}

// As many bytes as anybody wants, in messages of this size.
inline v1::SourceRequest endless_source(std::uint32_t chunk_bytes) {
  v1::SourceRequest request;
  request.set_total_bytes(std::uint64_t{1} << 60);
  request.set_chunk_bytes(chunk_bytes);
  return request;
}

inline v1::GetRequest get(const std::string& key) {
  v1::GetRequest request;
  request.set_key(key);
  return request;
}

inline v1::PutRequest put(const std::string& key, const std::string& value, const std::string& idempotency_key = {}) {
  v1::PutRequest request;
  request.set_key(key);
  request.set_value(value);
  request.set_idempotency_key(idempotency_key);
  return request;
}

inline v1::ListRequest list(const std::string& prefix, bool keys_only = false, const std::string& continuation = {}) {
  v1::ListRequest request;
  request.set_prefix(prefix);
  request.set_keys_only(keys_only);
  request.set_continuation(continuation);
  return request;
}

inline v1::WatchRequest watch(const std::string& prefix, bool snapshot = false) {
  v1::WatchRequest request;
  request.set_prefix(prefix);
  request.set_snapshot(snapshot);
  return request;
}

// The bytes of `make(0)`, `make(1)`, … one behind the other.
template <class Make>
std::string repeated(std::size_t times, const Make& make) {
  std::string bytes;
  for (std::size_t i = 0; i < times; ++i) bytes += make(i);
  return bytes;
}

}  // namespace hostcall::test
