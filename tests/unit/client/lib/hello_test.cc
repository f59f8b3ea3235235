#include "client/lib/hello.h"

#include <gtest/gtest.h>

#include "hostcall/v1/session.pb.h"

namespace hostcall::client {
namespace {

std::optional<Agreement> parsed(const v1::HelloResponse& response, const ChannelOptions& options = {}) {
  return parse_hello(response.SerializeAsString(), options);
}

TEST(Hello, SaysWhoAsks) {
  ChannelOptions options;
  options.client_name = "agent";
  options.client_version = "1.2";
  v1::HelloRequest request;
  ASSERT_TRUE(request.ParseFromString(hello_request(options)));
  EXPECT_EQ(request.client_name(), "agent");
  EXPECT_EQ(request.client_version(), "1.2");
  EXPECT_EQ(request.boot_id().find('\n'), std::string::npos);
}

TEST(Hello, FeaturesThatWereNotAskedForAreNotInForce) {
  v1::HelloResponse response;
  response.set_features(~std::uint64_t{0});
  EXPECT_EQ(parsed(response)->extension.features, wire::kAllFeatures & ~std::uint64_t{wire::kFeatureCrc32c});
  ChannelOptions crc;
  crc.crc = true;
  EXPECT_EQ(parsed(response, crc)->extension.features, std::uint64_t{wire::kAllFeatures});
}

TEST(Hello, NumbersAreBroughtIntoRange) {
  v1::HelloResponse response;
  EXPECT_EQ(parsed(response)->max_message_bytes, wire::kMaxDataBytes) << "not told: ttrpc's own limit";
  EXPECT_EQ(parsed(response)->heartbeat_interval, milliseconds(0));
  response.set_max_message_bytes(UINT32_MAX);
  response.set_heartbeat_interval_ms(1);
  EXPECT_EQ(parsed(response)->max_message_bytes, wire::kMaxDataBytes);
  EXPECT_EQ(parsed(response)->heartbeat_interval, milliseconds(100));
  response.set_heartbeat_interval_ms(UINT32_MAX);
  EXPECT_EQ(parsed(response)->heartbeat_interval, std::chrono::hours(24));
}

TEST(Hello, OtherBytesAreRefused) { EXPECT_FALSE(parse_hello("\xFF\xFF", {}).has_value()); }

}  // namespace
}  // namespace hostcall::client
