#include "client/lib/explain.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace hostcall::client {
namespace {

using testing::HasSubstr;

std::string explained(const char* address, int code, std::uint32_t source_port = 0) {
  ChannelOptions options;
  options.address = net::Address::parse(address).value();
  options.source_port = source_port;
  return explain_connect({code, std::string("connect ") + address}, options);
}

TEST(Explain, SaysWhatHappenedAndWhatToDo) {
  EXPECT_EQ(explained("unix:/x", ENOENT),
            "connect unix:/x: No such file or directory; no such socket: is hostcalld running, and is the path right?");
  EXPECT_THAT(explained("unix:/x", EACCES), HasSubstr("may not open the socket"));
  EXPECT_THAT(explained("vsock:2:1", ENODEV), HasSubstr("vhost-vsock-pci"));
  EXPECT_THAT(explained("vsock:2:1", ECONNRESET), HasSubstr("hostcalld running on the host"));
  EXPECT_THAT(explained("vsock:2:1", EACCES, 700), HasSubstr("CAP_NET_BIND_SERVICE"));
  EXPECT_THAT(explained("vsock:2:1", EADDRINUSE, 700), HasSubstr("another connection uses the source port"));
}

TEST(Explain, APrivilegedPortThatIsRefusedNamesTheCapability) {
  ChannelOptions options;
  options.address = net::Address::parse("vsock:2:1").value();
  options.privileged_port = true;
  EXPECT_EQ(explain_connect({EACCES, "bind a source port from 512 to 1023"}, options),
            "bind a source port from 512 to 1023: Permission denied; a source port below 1024 needs "
            "CAP_NET_BIND_SERVICE: be root, outside any user namespace");
}

TEST(Explain, WithoutAHintTheErrorStandsAlone) {
  EXPECT_EQ(explained("vsock:2:1", EACCES), "connect vsock:2:1: Permission denied");
  EXPECT_EQ(explained("unix:/x", EINVAL), "connect unix:/x: Invalid argument");
}

TEST(Explain, AnEndIsTheHostsWordsOrOurs) {
  EXPECT_THAT(explain_end(true, "upgrade"), HasSubstr("upgrade"));
  EXPECT_THAT(explain_end(true, ""), HasSubstr("without Goaway"));
  EXPECT_THAT(explain_end(false, ""), HasSubstr("before any answer"));
}

}  // namespace
}  // namespace hostcall::client
