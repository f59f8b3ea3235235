// What the tests of the store share: a caller of a real daemon that chooses every frame, and what it expects.
#pragma once

#include <gtest/gtest.h>

#include <optional>
#include <string>

#include "hostcall/v1/store.pb.h"
#include "tests/support/daemon_process.h"
#include "tests/support/wire_client.h"

namespace hostcall::test {

using wire::Code;

inline constexpr char kStore[] = "hostcall.v1.Store/";

// One caller of the store.
class Guest {
 public:
  explicit Guest(const std::string& address, const std::string& boot_id = "boot-1") : wire(address) {
    wire.hello(boot_id);
  }

  Answer put(const std::string& key, const std::string& value, v1::Lifetime lifetime = v1::LIFETIME_PERSISTENT,
             const std::string& idempotency_key = {}) {
    return wire.call(kStore + std::string("Put"), put_request(key, value, lifetime, idempotency_key));
  }
  Answer erase(const std::string& key) {
    v1::DeleteRequest request;
    request.set_key(key);
    return wire.call(kStore + std::string("Delete"), request);
  }
  // The value; nothing: no such key.
  std::optional<std::string> get(const std::string& key) {
    v1::GetRequest request;
    request.set_key(key);
    const auto answer = wire.call(kStore + std::string("Get"), request);
    EXPECT_TRUE(answer.status.ok()) << answer.status.message;
    v1::GetResponse response;
    EXPECT_TRUE(response.ParseFromString(answer.payload));
    if (!response.has_item()) return std::nullopt;
    return response.item().value();
  }
  v1::ListResponse list(const std::string& prefix, std::uint32_t limit = 0, const std::string& continuation = {}) {
    v1::ListRequest request;
    request.set_prefix(prefix);
    request.set_limit(limit);
    request.set_continuation(continuation);
    const auto answer = wire.call(kStore + std::string("List"), request);
    EXPECT_TRUE(answer.status.ok()) << answer.status.message;
    v1::ListResponse response;
    EXPECT_TRUE(response.ParseFromString(answer.payload));
    return response;
  }
  std::uint32_t watch(const v1::WatchRequest& request) {
    return wire.start(kStore + std::string("Watch"), request.SerializeAsString(), wire::Shape::kServerStream);
  }
  std::uint32_t watch(const std::string& prefix, std::int64_t from_revision = 0) {
    v1::WatchRequest request;
    request.set_prefix(prefix);
    request.set_from_revision(from_revision);
    return watch(request);
  }
  v1::WatchResponse next(std::uint32_t stream) {
    v1::WatchResponse message;
    const auto bytes = wire.receive(stream);
    EXPECT_TRUE(bytes) << "the watch has ended";
    EXPECT_TRUE(message.ParseFromString(bytes.value_or("")));
    return message;
  }

  static v1::PutRequest put_request(const std::string& key, const std::string& value,
                                    v1::Lifetime lifetime = v1::LIFETIME_PERSISTENT,
                                    const std::string& idempotency_key = {}) {
    v1::PutRequest request;
    request.set_key(key);
    request.set_value(value);
    request.set_lifetime(lifetime);
    request.set_idempotency_key(idempotency_key);
    return request;
  }

  WireClient wire;
};

inline std::int64_t revision_of(const Answer& put) {
  v1::PutResponse response;
  EXPECT_TRUE(put.status.ok()) << put.status.message;
  EXPECT_TRUE(response.ParseFromString(put.payload));
  return response.revision();
}

inline void expect_refused(const Answer& answer, Code code, const std::string& text) {
  ASSERT_TRUE(answer.arrived);
  EXPECT_EQ(answer.status.code, code) << answer.status.message;
  EXPECT_NE(answer.status.message.find(text), std::string::npos) << answer.status.message;
}

}  // namespace hostcall::test
