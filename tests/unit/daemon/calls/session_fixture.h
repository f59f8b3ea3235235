// SessionTest: a server with the methods of test_methods.h, whose VMs hold no charges at the end of each test.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <string>

#include "tests/support/rig.h"
#include "tests/support/test_methods.h"

namespace hostcall::daemon::test {

using hostcall::test::Answer;

inline constexpr char kPing[] = "hostcall.v1.Session/Ping";
inline constexpr char kEcho[] = "hostcall.v1.Diagnostics/Echo";
inline constexpr char kEchoStream[] = "hostcall.v1.Diagnostics/EchoStream";
inline constexpr char kSource[] = "hostcall.v1.Diagnostics/Source";
inline constexpr char kSink[] = "hostcall.v1.Diagnostics/Sink";

class SessionTest : public testing::Test {
 protected:
  explicit SessionTest(const RigOptions& options = {},
                       const std::function<void(Router&)>& register_methods = register_test_methods)
      : rig_(options) {
    register_methods(rig_.router);
    rig_.start();
  }
  static Answer ping(WireClient& peer, const std::string& payload = {}, std::chrono::nanoseconds timeout = {}) {
    v1::PingRequest request;
    request.set_payload(payload);
    return peer.call(kPing, request, timeout);
  }
  static std::string source_of(std::uint64_t bytes) {
    v1::SourceRequest request;
    request.set_total_bytes(bytes);
    return request.SerializeAsString();
  }
  std::uint64_t used(Resource resource) { return rig_.vm("web1").quota.used(resource); }
  void TearDown() override {
    rig_.settle();
    for (const auto resource : {Resource::kStreams, Resource::kMemory, Resource::kOutbound})
      EXPECT_EQ(used(resource), 0u) << static_cast<int>(resource);
  }

  Rig rig_;
};

}  // namespace hostcall::daemon::test
