// Addresses: every form that is accepted, and what the error says of those that are not.
#include "proto/net/address.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace hostcall::net {
namespace {

using testing::HasSubstr;

Address parsed(std::string_view text) {
  auto address = Address::parse(text);
  EXPECT_TRUE(address.ok()) << text << ": " << (address.ok() ? "" : address.error().message());
  return address.ok() ? *address : Address{};
}

std::string refusal(std::string_view text) {
  const auto address = Address::parse(text);
  EXPECT_FALSE(address.ok()) << text;
  return address.ok() ? "" : address.error().message();
}

TEST(Address, ParsesVsock) {
  const auto address = parsed("vsock:2:18499");
  EXPECT_EQ(address.family, Address::Family::kVsock);
  EXPECT_EQ(address.cid, kCidHost);
  EXPECT_EQ(address.port, kDefaultPort);
  EXPECT_EQ(parsed("vsock::1024").cid, kCidAny);
  EXPECT_EQ(parsed("vsock:4294967295:7").cid, kCidAny);
  EXPECT_EQ(parsed("vsock:4294967294:4294967294").port, 4294967294u);
  EXPECT_EQ(parsed(kDefaultAddress).to_string(), kDefaultAddress);
}

TEST(Address, ParsesUnix) {
  EXPECT_EQ(parsed("unix:/run/x.sock").path, "/run/x.sock");
  EXPECT_FALSE(parsed("unix:/run/x.sock").is_abstract());
  EXPECT_TRUE(parsed("unix:@hostcall").is_abstract());
  EXPECT_EQ(parsed("unix:/a:b").path, "/a:b");
  EXPECT_EQ(parsed("unix:/" + std::string(kMaxUnixPath - 1, 'p')).path.size(), kMaxUnixPath);
}

TEST(Address, WritesWhatItParses) {
  for (const char* text : {"vsock:2:18499", "vsock::18499", "vsock:0:0", "unix:/run/x", "unix:@name"}) {
    EXPECT_EQ(parsed(text).to_string(), text);
    EXPECT_EQ(parsed(parsed(text).to_string()), parsed(text));
  }
}

TEST(Address, SaysWhatIsWrongAndShowsTheForms) {
  const std::pair<const char*, const char*> bad[] = {
      {"", "unknown kind"},
      {"tcp:1:2", "unknown kind"},
      {"VSOCK:2:1", "unknown kind"},
      {"vsock:", "the port is missing"},
      {"vsock:2", "the port is missing"},
      {"vsock:x:1", "bad CID"},
      {"vsock:-1:1", "bad CID"},
      {"vsock:4294967296:1", "bad CID"},
      {"vsock: 2:1", "bad CID"},
      {"vsock:2:", "bad port"},
      {"vsock:2:x", "bad port"},
      {"vsock:2:1:1", "bad port"},
      {"vsock:2:+1", "bad port"},
      {"vsock:2:4294967295", "bad port"},
      {"unix:", "starts with / or @"},
      {"unix:run/x", "starts with / or @"},
      {"unix:/", "the path names no file"},
      {"unix:@", "the name is empty"},
  };
  for (const auto& [text, reason] : bad) {
    EXPECT_THAT(refusal(text), HasSubstr(reason)) << text;
    EXPECT_THAT(refusal(text), HasSubstr("write vsock:CID:PORT")) << text;
  }
}

TEST(Address, OfAPeerHasACid) {
  for (const char* text : {"vsock:2:18499", "unix:/run/x", "unix:@name"})
    EXPECT_EQ(Address::parse_peer(text).value(), parsed(text));
  for (const char* text : {"vsock::18499", "vsock:4294967295:1"}) {
    const auto address = Address::parse_peer(text);
    ASSERT_FALSE(address.ok()) << text;
    EXPECT_EQ(address.error().message(), "address \"" + std::string(text) +
                                             "\": a client needs a CID; the host's is 2; write vsock:CID:PORT, "
                                             "unix:/path or unix:@name");
  }
  const auto address = Address::parse_peer("nothing");
  ASSERT_FALSE(address.ok());
  EXPECT_EQ(address.error().message(),
            "address \"nothing\": unknown kind; write vsock:CID:PORT, unix:/path or unix:@name");
}

TEST(Address, BoundsUnixPaths) {
  EXPECT_THAT(refusal("unix:/" + std::string(kMaxUnixPath, 'p')),
              HasSubstr("has 108 bytes, a socket path at most 107"));
  EXPECT_THAT(refusal(std::string_view("unix:/a\0b", 9)), HasSubstr("NUL"));
}

}  // namespace
}  // namespace hostcall::net
