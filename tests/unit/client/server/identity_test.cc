#include <gmock/gmock.h>

#include "tests/unit/client/server/server_rig.h"

namespace hostcall::test {
namespace {

using testing::HasSubstr;
using wire::Code;

const std::vector<wire::Metadata> kFromHostcalld = {{"hostcall-vm", "web1"},
                                                    {"hostcall-vm-uuid", "6ab3c9a2-0c7e-4a55-9d0f-0a7c5a1d2e3f"},
                                                    {"hostcall-incarnation", "17-b1"},
                                                    {"hostcall-evidence", "cid,privileged-port"},
                                                    {"hostcall-call-id", "18446744073709551615"},
                                                    {"traceparent", "00-ab"},
                                                    {"hostcall-vm", "another"}};
constexpr uid_t kNobody = 65534;

// Connects as another user; SO_PEERCRED says who connected.
class AsNobody {
 public:
  AsNobody() { EXPECT_EQ(::seteuid(kNobody), 0); }
  ~AsNobody() { EXPECT_EQ(::seteuid(0), 0); }
};

class IdentityTest : public testing::Test, protected ServerRig {
 protected:
  void serve_seen() {
    server->serve<Echo>([this](const ServerCall& call, const v1::EchoRequest&, v1::EchoResponse&) {
      ++calls;
      caller = call.caller();
      call_id = call.call_id();
      peer_uid = call.peer_uid();
      trace = call.metadata("traceparent");
      reserved = call.metadata("hostcall-vm");
      EXPECT_EQ(call.method(), Echo::kFullName);
      return Status{};
    });
  }
  // As hostcalld's user, whom `trusted_uids` or root stands for.
  std::unique_ptr<WireClient> as_hostcalld() { return connect(); }
  std::unique_ptr<WireClient> as_nobody() {
    const AsNobody nobody;
    return connect();
  }

  int calls = 0;
  Caller caller;
  std::uint64_t call_id = 0;
  uid_t peer_uid = 0;
  std::optional<std::string> trace;
  std::optional<std::string> reserved;
};

TEST_F(IdentityTest, TakesHostcalldsWord) {
  start();
  serve_seen();
  const auto client = as_hostcalld();
  client->metadata = kFromHostcalld;
  ASSERT_TRUE(client->call(Echo::kFullName).status.ok());
  EXPECT_TRUE(caller.through_hostcall());
  EXPECT_EQ(caller.vm, "web1") << "the first value counts";
  EXPECT_EQ(caller.uuid, "6ab3c9a2-0c7e-4a55-9d0f-0a7c5a1d2e3f");
  EXPECT_EQ(caller.incarnation, "17-b1");
  EXPECT_EQ(caller.evidence, "cid,privileged-port");
  EXPECT_TRUE(caller.has_privileged_port());
  EXPECT_EQ(call_id, UINT64_MAX);
  EXPECT_EQ(trace, "00-ab");
  EXPECT_EQ(reserved, "web1");
  EXPECT_EQ(peer_uid, ::geteuid());
}

TEST_F(IdentityTest, TakesWhatThereIs) {
  start();
  serve_seen();
  const auto client = as_hostcalld();
  client->metadata = {{"hostcall-vm", "web1"}, {"hostcall-evidence", "unix"}, {"hostcall-call-id", "12x"}};
  ASSERT_TRUE(client->call(Echo::kFullName).status.ok());
  EXPECT_EQ(caller.uuid, "");
  EXPECT_FALSE(caller.has_privileged_port());
  EXPECT_EQ(call_id, 0u) << "no number";
  EXPECT_EQ(trace, std::nullopt);
  client->metadata = {};
  ASSERT_TRUE(client->call(Echo::kFullName).status.ok());
  EXPECT_FALSE(caller.through_hostcall()) << "root, without hostcalld";
}

TEST_F(IdentityTest, ALateAnswerKnowsItsCaller) {
  start();
  std::optional<Responder<Echo>> kept;
  server->serve_later<Echo>([&](const Responder<Echo>& responder, const v1::EchoRequest&) { kept = responder; });
  auto client = as_hostcalld();
  client->metadata = kFromHostcalld;
  client->start(Echo::kFullName, {});
  pump();
  ASSERT_TRUE(kept);
  client.reset();
  pump();
  server.reset();
  EXPECT_EQ(kept->call().caller().vm, "web1");
  EXPECT_EQ(kept->call().metadata("traceparent"), "00-ab");
}

TEST_F(IdentityTest, TooMuchMetadataIsRefused) {
  start();
  serve_seen();
  const auto client = as_hostcalld();
  const std::string large(17 * 1024, 'm');
  client->metadata = {{"hostcall-vm", "web1"}, {"traceparent", large}};
  EXPECT_EQ(client->call(Echo::kFullName).status.code, Code::kResourceExhausted);
  EXPECT_EQ(calls, 0);
}

// The rest needs two users.
class OtherUserTest : public IdentityTest {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "only root can be another user too";
    // The directory of the rig is root's.
    address = "unix:@hc-test-identity-" + std::to_string(::getpid());
  }
};

TEST_F(OtherUserTest, AnUntrustedUserIsRefused) {
  start();
  serve_seen();
  const auto client = as_nobody();
  client->metadata = kFromHostcalld;
  const auto answer = client->call(Echo::kFullName);
  EXPECT_EQ(answer.status.code, Code::kPermissionDenied);
  EXPECT_THAT(answer.status.message, HasSubstr("uid is 65534"));
  EXPECT_THAT(answer.status.message, HasSubstr("trusted_uids"));
  EXPECT_TRUE(client->wait_for_close());
  EXPECT_EQ(calls, 0);
}

TEST_F(OtherUserTest, HelloIsRefusedToo) {
  start();
  const auto client = as_nobody();
  EXPECT_EQ(client->call("hostcall.v1.Session/Hello").status.code, Code::kPermissionDenied);
  EXPECT_TRUE(client->wait_for_close());
}

TEST_F(OtherUserTest, ManyRefusedCallersKeepOutNobody) {
  options.max_connections = 2;
  start();
  serve_seen();
  std::vector<std::unique_ptr<WireClient>> refused;
  for (int i = 0; i < 50; ++i) {
    refused.push_back(as_nobody());
    pump();
  }
  EXPECT_FALSE(refused.back()->pump()) << "the last ones are closed at once";
  EXPECT_TRUE(as_hostcalld()->call(Echo::kFullName).status.ok());
}

TEST_F(OtherUserTest, ServedWithoutIdentityIfTheServiceWantsThat) {
  options.require_hostcall = false;
  start();
  serve_seen();
  const auto client = as_nobody();
  client->hello();
  client->metadata = kFromHostcalld;
  ASSERT_TRUE(client->call(Echo::kFullName).status.ok());
  EXPECT_FALSE(caller.through_hostcall());
  EXPECT_EQ(caller.evidence + caller.incarnation + caller.uuid, "");
  EXPECT_EQ(call_id, 0u);
  EXPECT_EQ(reserved, std::nullopt);
  EXPECT_EQ(trace, "00-ab") << "means nothing about identity";
  EXPECT_EQ(peer_uid, kNobody);
}

TEST_F(OtherUserTest, HostcalldsUserIsTrustedByName) {
  options.hostcall_user = "nobody";
  options.trusted_uids = {};
  start();
  serve_seen();
  const auto client = as_nobody();
  client->metadata = kFromHostcalld;
  ASSERT_TRUE(client->call(Echo::kFullName).status.ok());
  EXPECT_EQ(caller.vm, "web1");
}

TEST_F(OtherUserTest, WithoutThatUserOnlyRootIsTrusted) {
  options.hostcall_user = "no-such-user";
  options.trusted_uids = {};
  start();
  serve_seen();
  const auto answer = as_nobody()->call(Echo::kFullName);
  EXPECT_EQ(answer.status.code, Code::kPermissionDenied);
  EXPECT_THAT(answer.status.message, HasSubstr("there is no user no-such-user here"));
  EXPECT_TRUE(as_hostcalld()->call(Echo::kFullName).status.ok());
}

}  // namespace
}  // namespace hostcall::test
