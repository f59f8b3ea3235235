// The store's engine on the reactor: what becomes of keys with sessions and boots, and what the operator hears when the
// disk is full or broken (tests/support/disk_faults.c, linked in).
#include "daemon/services/store_host.h"

#include <cstdlib>
#include <filesystem>

#include "hostcall/v1/admin.hostcall.h"
#include "tests/unit/daemon/services/store_fixture.h"

namespace hostcall::daemon {
namespace {

using test::put_request;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;
using v1::Store::Put;

class StoreHostTest : public test::StoreServiceFixture {};

TEST_F(StoreHostTest, KeysOfASessionGoWithIt) {
  auto caller = guest("web1");
  const auto other = guest("web1");
  put(*caller, "/self/mine", "1", v1::LIFETIME_SESSION);
  put(*other, "/self/other", "2", v1::LIFETIME_SESSION);
  put(*caller, "/self/stays", "3");
  caller.reset();
  settle();
  EXPECT_EQ(get(*other, "/self/mine"), "(none)");
  EXPECT_EQ(get(*other, "/self/other"), "2");
  EXPECT_EQ(get(*other, "/self/stays"), "3");
}

TEST_F(StoreHostTest, KeysOfABootGoWithTheNext) {
  const auto first = guest("web1", "boot-1");
  put(*first, "/self/boot", "1", v1::LIFETIME_BOOT);
  put(*first, "/self/stays", "2");
  const auto same = guest("web1", "boot-1"), neighbour = guest("db1", "boot-9");
  EXPECT_EQ(get(*same, "/self/boot"), "1");
  const auto next = guest("web1", "boot-2");
  settle();
  EXPECT_EQ(get(*next, "/self/boot"), "(none)");
  EXPECT_EQ(get(*next, "/self/stays"), "2");
}

// A session that has told no boot id can't hold a boot's keys: those of the present boot would go with its own Hello.
TEST_F(StoreHostTest, ASessionThatToldNoBootHoldsNoKeysOfOne) {
  const auto first = guest("web1", "boot-1"), base = peer("web1");
  expect_refused(call<Put>(*base, put_request("/self/boot", "1", v1::LIFETIME_BOOT)).status, Code::kFailedPrecondition,
                 "this session of VM \"web1\" has told no boot id");
  put(*base, "/self/session", "1", v1::LIFETIME_SESSION);
  const auto next = guest("web1", "boot-2");
  settle();
  EXPECT_EQ(get(*base, "/self/session"), "1") << "the session goes on";
}

TEST_F(StoreHostTest, AStoreThatCantBeOpenedThrows) {
  EXPECT_THROW(StoreHost(rig_.reactor, rig_.journal, rig_.directory / "missing"), std::runtime_error);
  EXPECT_THROW(StoreHost(rig_.reactor, rig_.journal, rig_.directory.path()), std::runtime_error) << "it is open";
  EXPECT_EQ(get(*guest("web1"), "/self/k"), "(none)") << "and the one that is open goes on";
}

// ---------------------------------------------------------------- the disk

class FaultyDisk {
 public:
  explicit FaultyDisk(const std::string& directory) : control_(directory + "/control") {
    ::setenv("DISK_FAULTS_DIRECTORY", directory.c_str(), 1);
    ::setenv("DISK_FAULTS_CONTROL", control_.c_str(), 1);
  }
  ~FaultyDisk() {
    ::unsetenv("DISK_FAULTS_DIRECTORY");
    ::unsetenv("DISK_FAULTS_CONTROL");
  }
  FaultyDisk(const FaultyDisk&) = delete;
  FaultyDisk& operator=(const FaultyDisk&) = delete;

  // "full", "write", "sync"; anything else: nothing fails. In one step, because the writer may be reading it.
  void fail(const std::string& what) {
    std::ofstream(control_ + ".new") << what;
    std::filesystem::rename(control_ + ".new", control_);
  }

 private:
  const std::string control_;
};

// The faults are set up before the store has a thread, which reads the environment.
class StoreDiskTest : public test::ServicesFixture {
 protected:
  StoreDiskTest() : disk_(rig_.directory.path()), store_(rig_.reactor, rig_.journal, rig_.directory.path()) {
    serve(store_);
    rig_.log();
  }
  ~StoreDiskTest() override { rig_.stop(); }
  void settle() override { settle_with(rig_, store_); }
  v1::StoreCondition condition() { return must<v1::Admin::Stats>(*admin()).store(); }

  FaultyDisk disk_;
  StoreHost store_;
};

// It refuses some writes and takes others, all the time.
TEST_F(StoreDiskTest, ADiskThatIsNearlyFullIsToldOnceAMinute) {
  const auto put = [&](const char* fault) {
    disk_.fail(fault);
    (void)call<Put>(*guest("web1"), put_request("/self/k", "1"));
  };
  put("full");
  put("nothing");
  EXPECT_THAT(rig_.log(), AllOf(HasSubstr("the store refuses writes: "), HasSubstr("accepts writes again")));
  for (const auto* fault : {"full", "nothing", "full", "nothing", "full"}) put(fault);
  EXPECT_THAT(rig_.log(), Not(HasSubstr("the store ")));
  EXPECT_EQ(condition().state(), v1::StoreCondition::STATE_DISK_FULL);
  rig_.advance(seconds(60));
  EXPECT_THAT(rig_.log(), HasSubstr("the store refuses writes: ")) << "what is so then";
  put("nothing");
  EXPECT_THAT(rig_.log(), HasSubstr("accepts writes again"));
}

TEST_F(StoreDiskTest, AFullDiskIsToldOnceAndItsEndToo) {
  const auto caller = guest("web1");
  EXPECT_TRUE(call<Put>(*caller, put_request("/self/k", "1")).status.ok());
  rig_.log();
  disk_.fail("full");
  const auto refused = call<Put>(*caller, put_request("/self/k", "2")).status;
  expect_refused(refused, Code::kResourceExhausted, "nothing was written: the host's disk is full; make room");
  EXPECT_EQ(refused.retry_after, seconds(1));
  EXPECT_THAT(rig_.log(), HasSubstr("the store refuses writes: "));
  EXPECT_EQ(condition().state(), v1::StoreCondition::STATE_DISK_FULL);
  EXPECT_THAT(condition().text(), StartsWith("the store refuses writes: "));
  rig_.log();
  EXPECT_FALSE(call<Put>(*caller, put_request("/self/k", "3")).status.ok());
  EXPECT_THAT(rig_.log(), Not(HasSubstr("the store refuses writes"))) << "it is known";
  EXPECT_EQ(must<v1::Store::Get>(*caller, test::get_request("/self/k")).item().value(), "1");
  disk_.fail("nothing");
  EXPECT_TRUE(call<Put>(*caller, put_request("/self/k", "4")).status.ok());
  EXPECT_THAT(rig_.log(), HasSubstr("the store accepts writes again"));
  EXPECT_EQ(condition().state(), v1::StoreCondition::STATE_OK);
  EXPECT_EQ(condition().text(), "");
}

// What an earlier attempt has done is done, whatever the disk says to those with whom the repetition comes.
TEST_F(StoreDiskTest, ARepetitionIsAnsweredOnAFullDisk) {
  const auto caller = guest("web1");
  auto request = put_request("/self/k", "1");
  request.set_idempotency_key("once");
  EXPECT_TRUE(call<Put>(*caller, request).status.ok());
  disk_.fail("full");
  const auto other = caller->start(Put::kFullName, put_request("/self/l", "").SerializeAsString());
  const auto again = caller->start(Put::kFullName, request.SerializeAsString());
  settle();
  EXPECT_EQ(finish<Put>(*caller, other).status.code, Code::kResourceExhausted);
  const auto reply = finish<Put>(*caller, again);
  EXPECT_TRUE(reply.status.ok()) << reply.status.message;
  EXPECT_EQ(reply.message.revision(), 1);
}

TEST_F(StoreDiskTest, AFailedSyncMakesTheStoreReadOnly) {
  const auto caller = guest("web1");
  EXPECT_TRUE(call<Put>(*caller, put_request("/self/k", "1")).status.ok());
  disk_.fail("sync");
  expect_refused(call<Put>(*caller, put_request("/self/k", "2")).status, Code::kUnavailable, "the outcome is unknown");
  EXPECT_THAT(rig_.log(), HasSubstr("the store is read-only until hostcalld is restarted: "));
  EXPECT_EQ(condition().state(), v1::StoreCondition::STATE_READ_ONLY);
  EXPECT_THAT(condition().text(), StartsWith("the store is read-only until hostcalld is restarted: "));
  disk_.fail("nothing");
  expect_refused(call<Put>(*caller, put_request("/self/k", "3")).status, Code::kUnavailable,
                 "nothing was written: the store is read-only since its disk failed");
  auto again = put_request("/self/k", "2");
  again.set_idempotency_key("once");
  expect_refused(call<Put>(*caller, again).status, Code::kUnavailable,
                 "whether an earlier attempt with this idempotency key was written is known only after a restart");
  EXPECT_EQ(must<v1::Store::Get>(*caller, test::get_request("/self/k")).item().value(), "1");
}

}  // namespace
}  // namespace hostcall::daemon
