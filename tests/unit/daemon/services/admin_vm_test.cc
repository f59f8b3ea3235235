// Administration of VMs: what is registered and shown, what ends with a VM, and that a refusal leaves nothing behind.
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "hostcall/v1/admin.hostcall.h"
#include "hostcall/v1/diagnostics.hostcall.h"
#include "hostcall/v1/session.hostcall.h"
#include "proto/base/unique_fd.h"
#include "tests/unit/daemon/services/scripted_engine.h"
#include "tests/unit/daemon/services/store_fixture.h"

namespace hostcall::daemon {
namespace {

using test::WireClient;
using ::testing::HasSubstr;
using v1::Admin::VmAdd;
using v1::Admin::VmList;
using v1::Admin::VmRemove;
using v1::Admin::VmShow;

v1::VmAddRequest add_request(const std::string& name, const std::string& unix_path = {}, std::uint32_t cid = 0) {
  v1::VmAddRequest request;
  request.mutable_record()->set_name(name);
  request.mutable_record()->set_unix_path(unix_path);
  request.mutable_record()->set_cid(cid);
  return request;
}

v1::VmRemoveRequest remove_request(const std::string& name, bool purge = false) {
  v1::VmRemoveRequest request;
  request.set_name(name);
  request.set_purge(purge);
  return request;
}

class AdminVmTest : public test::StoreServiceFixture {
 protected:
  v1::VmShowResponse show(const std::string& name) {
    v1::VmShowRequest request;
    request.set_name(name);
    return must<VmShow>(*host_, request);
  }
  // A VM of the name with its own socket.
  void add(const std::string& name) { must<VmAdd>(*host_, add_request(name, rig_.path_of(name))); }

  const std::unique_ptr<WireClient> host_ = admin();
};

// ---------------------------------------------------------------- showing

TEST_F(AdminVmTest, ListsVmsWithWhatTheyUse) {
  policy(R"({"vms": ["*"], "calls": ["hostcall.v1.Diagnostics/Echo"], "action": "deny"},
            {"vms": ["*"], "calls": ["*"], "action": "allow"})");
  const auto caller = guest("web1", "boot-4");
  EXPECT_EQ(call<v1::Diagnostics::Echo>(*caller).status.code, Code::kPermissionDenied);
  start<v1::Diagnostics::EchoStream>(*caller);
  const auto list = must<VmList>(*host_);
  ASSERT_EQ(list.vms_size(), 2);
  EXPECT_EQ(list.vms(0).record().name(), "db1");
  EXPECT_EQ(list.vms(0).connections(), 0u);
  EXPECT_EQ(list.vms(0).boot_id(), "");
  const auto& web = list.vms(1);
  EXPECT_EQ(web.record().name(), "web1");
  EXPECT_EQ(web.record().unix_path(), rig_.path_of("web1"));
  EXPECT_EQ(web.origin(), rig_.directory / "vms.d/50-test.json:2");
  EXPECT_EQ(web.boot_id(), "boot-4");
  EXPECT_EQ(web.registration(), rig_.vm("web1").registration);
  EXPECT_EQ(web.connections(), 1u);
  EXPECT_EQ(web.streams(), 1u);
  EXPECT_EQ(web.memory_bytes(), 0u);
  EXPECT_EQ(web.calls(), 3u);
  EXPECT_EQ(web.denied(), 1u);
}

TEST_F(AdminVmTest, ShowsAVmWithItsLimits) {
  put(*guest("web1"), "/self/k", "1234");
  settle();
  const auto shown = show("web1");
  EXPECT_EQ(shown.vm().record().name(), "web1");
  EXPECT_GT(shown.vm().store_history_bytes(), 256u) << "one change";
  EXPECT_EQ(show("db1").vm().store_history_bytes(), 0u);
  ASSERT_EQ(static_cast<std::size_t>(shown.limits_size()), all_limits().size());
  for (const auto& limit : shown.limits())
    EXPECT_EQ(limit.limit() - limit.left(), limit.name() == "store_keys"          ? 1u
                                            : limit.name() == "store_bytes"       ? std::string("/vm/web1/k1234").size()
                                            : limit.name() == "store_write_burst" ? 1u
                                            : limit.name() == "connect_burst"     ? 1u
                                                                                  : 0u)
        << limit.name();
  v1::VmShowRequest request;
  request.set_name("no\n");
  expect_refused(call<VmShow>(*host_, request).status, Code::kNotFound,
                 "no VM is named \"no\\x0a\"; hostcallctl vm list shows all");
}

// ---------------------------------------------------------------- adding

TEST_F(AdminVmTest, ANewVmIsServedAtOnce) {
  auto request = add_request("app1", rig_.path_of("app1"), 77);
  auto& record = *request.mutable_record();
  record.set_uuid("7f3e1c1e-0000-4000-8000-000000000001");
  record.add_tags("blue");
  record.add_tags("web");
  record.set_has_vmm_uid(true);
  record.set_vmm_uid(::getuid());
  auto& limit = *record.add_limits();
  limit.set_name("streams");
  limit.set_value(9);
  const auto added = must<VmAdd>(*host_, request).vm();
  EXPECT_EQ(added.record().SerializeAsString(), record.SerializeAsString());
  EXPECT_EQ(added.origin(), Vm::kRunTime);
  EXPECT_EQ(show("app1").vm().SerializeAsString(), added.SerializeAsString());
  EXPECT_EQ(rig_.vm("app1").quota.limits().streams, 9u);
  EXPECT_TRUE(call<v1::Session::Ping>(*guest("app1")).status.ok());
  request = add_request("app2", {}, 78);
  request.set_persistent(true);
  EXPECT_EQ(must<VmAdd>(*host_, request).vm().origin(), Vm::kPersistent);
  EXPECT_FALSE(show("app2").vm().record().has_vmm_uid());
}

TEST_F(AdminVmTest, ABadRecordIsRefusedWithTheReason) {
  expect_refused(call<VmAdd>(*host_, add_request("No", "/run/x.sock")).status, Code::kInvalidArgument, "No");
  expect_refused(call<VmAdd>(*host_, add_request("app1", {}, 2)).status, Code::kInvalidArgument, "2");
  expect_refused(call<VmAdd>(*host_, add_request("web1", {}, 77)).status, Code::kAlreadyExists,
                 "the name \"web1\" is taken by VM \"web1\" (" + rig_.directory.path());
  expect_refused(call<VmAdd>(*host_, add_request("app1", rig_.path_of("db1"))).status, Code::kAlreadyExists,
                 "is taken by VM \"db1\"");
  expect_refused(call<VmAdd>(*host_, add_request("app1", rig_.path_of("admin"))).status, Code::kAlreadyExists,
                 "is taken by hostcalld itself");
  auto request = add_request("app1", {}, 77);
  request.mutable_record()->add_limits()->set_name("no_such_limit");
  expect_refused(call<VmAdd>(*host_, request).status, Code::kInvalidArgument, "there is no limit \"no_such_limit\"");
  EXPECT_EQ(rig_.registry.all().size(), 2u);
}

TEST_F(AdminVmTest, AVmThatCouldNotReachUsIsNotAdded) {
  const auto path = rig_.directory / "missing/app1.sock";
  const auto status = call<VmAdd>(*host_, add_request("app1", path)).status;
  expect_refused(status, Code::kFailedPrecondition, "VM \"app1\" is not added: can't listen: ");
  EXPECT_THAT(status.message, HasSubstr("No such file"));
  EXPECT_THAT(status.message, testing::Not(HasSubstr("reload"))) << "there is nothing to reload";
  EXPECT_EQ(rig_.registry.find("app1"), nullptr);
  const auto log = rig_.log();
  EXPECT_THAT(log, testing::Not(HasSubstr("registered"))) << "nothing was";
  EXPECT_THAT(log, testing::Not(HasSubstr("removed"))) << "what was never there is not removed";
  std::filesystem::create_directory(rig_.directory / "missing");
  EXPECT_TRUE(call<VmAdd>(*host_, add_request("app1", path)).status.ok()) << "nothing is left of the first try";
}

// A file in the place of the directory in which registrations are kept.
TEST_F(AdminVmTest, WhatCanNotBeKeptIsNotDone) {
  add("app1");
  const auto file = rig_.directory / "registrations";
  std::filesystem::rename(file, file + ".away");
  rig_.directory.write("registrations", "no directory");
  expect_refused(call<VmAdd>(*host_, add_request("app2", {}, 78)).status, Code::kUnavailable,
                 "VM \"app2\" is not added: ");
  expect_refused(call<VmRemove>(*host_, remove_request("app1")).status, Code::kUnavailable,
                 "VM \"app1\" is not removed: ");
  EXPECT_EQ(rig_.registry.find("app2"), nullptr);
  EXPECT_NE(rig_.registry.find("app1"), nullptr);
  std::filesystem::remove_all(file);
  std::filesystem::rename(file + ".away", file);
  EXPECT_TRUE(call<VmRemove>(*host_, remove_request("app1")).status.ok());
}

TEST_F(AdminVmTest, APersistentRecordThatCanNotBeWrittenIsNotAdded) {
  const auto directory = rig_.directory / "state";
  auto request = add_request("app1", rig_.path_of("app1"));
  request.set_persistent(true);
  must<VmAdd>(*host_, request);
  EXPECT_TRUE(std::filesystem::exists(directory + "/vms/app1.json"));
  must<VmRemove>(*host_, remove_request("app1"));
  EXPECT_FALSE(std::filesystem::exists(directory + "/vms/app1.json"));
  std::filesystem::remove_all(directory);
  expect_refused(call<VmAdd>(*host_, request).status, Code::kUnavailable, "VM \"app1\" is not added: ");
  EXPECT_EQ(rig_.registry.find("app1"), nullptr);
  EXPECT_FALSE(std::filesystem::exists(rig_.path_of("app1"))) << "nor is its socket there";
  std::filesystem::create_directory(directory);
  EXPECT_TRUE(call<VmAdd>(*host_, request).status.ok());
}

// The number of the registration can't be written, without which it can't be taken back.
TEST_F(AdminVmTest, WhatCanNotBeTakenBackIsToldToo) {
  std::filesystem::create_directories(rig_.directory / "registrations/LAST_REGISTRATION.new");
  const auto status = call<VmAdd>(*host_, add_request("app1", rig_.directory / "missing/s")).status;
  expect_refused(status, Code::kFailedPrecondition, "VM \"app1\" is registered, but only in part: ");
  EXPECT_THAT(status.message, HasSubstr("VM \"app1\" is not removed: "));
  EXPECT_NE(rig_.registry.find("app1"), nullptr);
  std::filesystem::remove(rig_.directory / "registrations/LAST_REGISTRATION.new");
  EXPECT_TRUE(call<VmRemove>(*host_, remove_request("app1")).status.ok());
}

// No descriptor is left with which the directory of its record could be synced.
TEST_F(AdminVmTest, ARemovalThatIsPerhapsNotOnTheDiskIsDone) {
  auto request = add_request("app1", {}, 78);
  request.set_persistent(true);
  must<VmAdd>(*host_, request);
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  const rlimit none{static_cast<rlim_t>(UniqueFd::adopt(::dup(0)).get()), before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
  const auto status = call<VmRemove>(*host_, remove_request("app1")).status;
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
  expect_refused(status, Code::kUnavailable,
                 "VM \"app1\" was removed, but a crash of the host may bring its record back: sync ");
  EXPECT_EQ(rig_.registry.find("app1"), nullptr);
  EXPECT_FALSE(std::filesystem::exists(rig_.directory / "state/vms/app1.json"));
}

// ---------------------------------------------------------------- a directory for the VMM's user

v1::VmAddRequest add_by_uid(const std::string& name, uid_t uid) {
  auto request = add_request(name);
  request.mutable_record()->set_has_vmm_uid(true);
  request.mutable_record()->set_vmm_uid(uid);
  return request;
}

// What `work` returns, in a process of this user.
template <class Work>
int as_user(uid_t uid, Work work) {
  const auto child = ::fork();
  if (child == 0) {
    if (::setresuid(uid, uid, uid) != 0) ::_exit(99);
    ::_exit(work());
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return WEXITSTATUS(status);
}

TEST_F(AdminVmTest, TheUidOfAVmmIsEnough) {
  const auto directory = rig_.directory / "vm/fc1";
  const auto added = must<VmAdd>(*host_, add_by_uid("fc1", ::getuid())).vm();
  EXPECT_EQ(added.uds_path(), directory + "/vsock.sock");
  EXPECT_EQ(added.record().unix_path(), directory + "/vsock.sock_18499");
  EXPECT_EQ(added.unreachable(), "");
  struct stat status {};
  ASSERT_EQ(::stat(directory.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777, 01770u) << "the group bits are the ACL's mask";
  const auto connect = [&] { return WireClient("unix:" + added.record().unix_path(), [this] { settle(); }).hello(); };
  EXPECT_EQ(connect().vm_name(), "fc1");
  std::filesystem::remove_all(rig_.directory / "vm");
  ASSERT_TRUE(rig_.reload().ok()) << "which makes it again";
  EXPECT_EQ(connect().vm_name(), "fc1");
  must<VmRemove>(*host_, remove_request("fc1"));
  EXPECT_FALSE(std::filesystem::exists(directory));
  must<VmAdd>(*host_, add_by_uid("fc1", ::getuid()));
  rig_.directory.write("vm/fc1/vsock.sock", "what a VMM leaves behind");
  must<VmRemove>(*host_, remove_request("fc1"));
  EXPECT_TRUE(std::filesystem::exists(directory + "/vsock.sock")) << "is not the daemon's to remove";
  EXPECT_FALSE(std::filesystem::exists(directory + "/vsock.sock_18499"));
}

TEST_F(AdminVmTest, TheVmmsUserMakesItsSocketAndCanNotTakeTheDaemons) {
  if (::getuid() != 0) GTEST_SKIP() << "only root can become another user";
  std::filesystem::permissions(rig_.directory.path(), std::filesystem::perms(0755));
  const auto added = must<VmAdd>(*host_, add_by_uid("fc1", 4242)).vm();
  const auto make = [&] { return ::mknod(added.uds_path().c_str(), S_IFSOCK | 0600, 0) == 0 ? 0 : errno; };
  EXPECT_EQ(as_user(4243, make), EACCES) << "another user";
  EXPECT_EQ(as_user(4242, make), 0);
  EXPECT_EQ(as_user(4242, [&] { return ::unlink(added.record().unix_path().c_str()) == 0 ? 0 : errno; }), EPERM);
  EXPECT_EQ(as_user(4242, [&] { return ::unlink(added.uds_path().c_str()) == 0 ? 0 : errno; }), 0);
  must<VmRemove>(*host_, remove_request("fc1"));
  must<VmAdd>(*host_, add_by_uid("fc1", 4243));
  EXPECT_EQ(as_user(4242, make), EACCES) << "the first user's time is over";
  EXPECT_EQ(as_user(4243, make), 0);
}

TEST_F(AdminVmTest, ARecordOfAFileGetsItsDirectoryToo) {
  rig_.write_vms(R"({"vms": [{"name": "fc1", "vmm_uid": )" + std::to_string(::getuid()) + "}]}");
  const auto reloaded = rig_.reload();
  ASSERT_TRUE(reloaded.ok());
  EXPECT_THAT(*reloaded, testing::IsEmpty());
  EXPECT_EQ(show("fc1").vm().uds_path(), rig_.directory / "vm/fc1/vsock.sock");
  EXPECT_EQ(show("fc1").vm().unreachable(), "");
}

TEST_F(AdminVmTest, ListsComeInPages) {
  std::string text = "{\"vms\": [";
  for (int i = 0; i < 600; ++i)
    text += (i == 0 ? "{\"name\": \"v" : ", {\"name\": \"v") + std::to_string(1000 + i) +
            "\", \"cid\": " + std::to_string(1000 + i) + "}";
  rig_.write_vms(text + "]}");
  ASSERT_TRUE(rig_.reload().ok());
  v1::VmListRequest request;
  std::vector<std::string> names;
  std::vector<int> sizes;
  do {
    const auto page = must<VmList>(*host_, request);
    sizes.push_back(page.vms_size());
    for (const auto& vm : page.vms()) names.push_back(vm.record().name());
    request.set_after(page.next());
  } while (!request.after().empty());
  EXPECT_THAT(sizes, testing::ElementsAre(256, 256, 88));
  ASSERT_EQ(names.size(), 600u);
  EXPECT_EQ(names.front(), "v1000");
  EXPECT_EQ(names.back(), "v1599");
  EXPECT_TRUE(std::ranges::is_sorted(names));
  request.set_limit(3);
  request.set_after("v1100x");
  const auto page = must<VmList>(*host_, request);
  ASSERT_EQ(page.vms_size(), 3);
  EXPECT_EQ(page.vms(0).record().name(), "v1101");
  EXPECT_EQ(page.next(), "v1103");
  EXPECT_THAT(page.vms(0).unreachable(), HasSubstr("no vsock listener"));
}

// ---------------------------------------------------------------- removing

TEST_F(AdminVmTest, ARemovedVmsSessionsEnd) {
  add("app1");
  const auto first = guest("app1"), second = guest("app1"), other = guest("web1");
  put(*first, "/self/k", "");
  EXPECT_EQ(must<VmRemove>(*host_, remove_request("app1")).sessions_ended(), 2u);
  for (auto* caller : {first.get(), second.get()}) {
    EXPECT_TRUE(caller->wait_for_close());
    EXPECT_THAT(caller->goaway_text().value_or(""), HasSubstr("the VM was removed"));
  }
  EXPECT_EQ(rig_.registry.find("app1"), nullptr);
  EXPECT_FALSE(std::filesystem::exists(rig_.path_of("app1")));
  EXPECT_TRUE(call<v1::Session::Ping>(*other).status.ok());
  EXPECT_EQ(get(*host_, "/vm/app1/k"), "") << "its keys stay";
  add("app1");
  EXPECT_EQ(get(*guest("app1"), "/self/k"), "");
}

TEST_F(AdminVmTest, OnlyWhatWasAddedAtRunTimeIsRemoved) {
  const auto caller = guest("web1");
  put(*caller, "/self/k", "");
  for (const bool purge : {false, true})
    expect_refused(call<VmRemove>(*host_, remove_request("web1", purge)).status, Code::kFailedPrecondition,
                   "VM \"web1\" comes from " + rig_.directory / "vms.d/50-test.json:2");
  EXPECT_EQ(get(*caller, "/self/k"), "");
  expect_refused(call<VmRemove>(*host_, remove_request("app1")).status, Code::kNotFound,
                 "no VM \"app1\" is registered");
  expect_refused(call<VmRemove>(*host_, remove_request("app1", true)).status, Code::kNotFound, "no VM \"app1\"");
  expect_refused(call<VmRemove>(*host_, remove_request("../web1", true)).status, Code::kNotFound, "no VM \"../web1\"");
}

TEST_F(AdminVmTest, APurgeTakesTheKeysToo) {
  add("app1");
  {
    const auto caller = guest("app1");
    std::vector<std::string> keys;
    for (int i = 0; i < 100; ++i) keys.push_back("/self/a" + std::to_string(i));
    must<v1::Store::Txn>(*caller, test::put_all(keys, "v"));
    for (auto& key : keys) key += 'b';
    must<v1::Store::Txn>(*caller, test::put_all(keys, "v"));  // more than a purge deletes at once
    advance(seconds(1));
    put(*caller, "/shared/k", "stays");
  }
  put(*guest("web1"), "/self/k", "stays");
  const auto response = must<VmRemove>(*host_, remove_request("app1", true));
  EXPECT_TRUE(response.removed());
  EXPECT_EQ(response.keys_deleted(), 200u);
  EXPECT_EQ(response.sessions_ended(), 0u);
  EXPECT_EQ(store_.engine().stats().keys, 2u);
  EXPECT_EQ(store_.engine().usage("app1").keys, 1u) << "what it has in /shared";
}

TEST_F(AdminVmTest, KeysThatAreLeftOfAVmCanBePurgedLater) {
  add("app1");
  put(*guest("app1"), "/self/k", "");
  must<VmRemove>(*host_, remove_request("app1"));
  const auto response = must<VmRemove>(*host_, remove_request("app1", true));
  EXPECT_FALSE(response.removed()) << "it was removed before";
  EXPECT_EQ(response.keys_deleted(), 1u);
  EXPECT_EQ(response.sessions_ended(), 0u);
  EXPECT_EQ(get(*host_, "/vm/app1/k"), "(none)");
  EXPECT_EQ(call<VmRemove>(*host_, remove_request("app1", true)).status.code, Code::kNotFound);
}

// ---------------------------------------------------------------- purges on their way

class AdminPurgeTest : public test::ServicesFixture {
 protected:
  AdminPurgeTest() {
    serve(engine_);
    engine_.records = {store::make_record({.key = "/vm/gone/a", .value = {}, .owner = {}, .holder = {}}),
                       store::make_record({.key = "/vm/gone/b", .value = {}, .owner = {}, .holder = {}})};
  }
  test::ScriptedEngine engine_;
};

TEST_F(AdminPurgeTest, IsAnsweredWhenTheKeysAreGoneFromTheDisk) {
  const auto host = admin();
  const auto stream = start<VmRemove>(*host, remove_request("gone", true));
  ASSERT_EQ(engine_.purges.size(), 1u);
  EXPECT_EQ(engine_.purges[0].vm, "gone");
  EXPECT_TRUE(is_quiet(*host));
  engine_.purges[0].done(store::OutcomeCode::kDone);
  settle();
  EXPECT_EQ(finish<VmRemove>(*host, stream).message.keys_deleted(), 2u);
}

TEST_F(AdminPurgeTest, SaysWhenTheDiskHasFailed) {
  const auto host = admin();
  for (const auto verdict : {store::OutcomeCode::kDiskFailed, store::OutcomeCode::kReadOnly}) {
    const auto stream = start<VmRemove>(*host, remove_request("gone", true));
    engine_.purges.back().done(verdict);
    settle();
    expect_refused(finish<VmRemove>(*host, stream).status, Code::kUnavailable,
                   "the keys of VM \"gone\" are not all deleted: the store's disk has failed");
  }
  must<VmAdd>(*host, add_request("gone", {}, 77));
  const auto stream = start<VmRemove>(*host, remove_request("gone", true));
  engine_.purges.back().done(store::OutcomeCode::kDiskFailed);
  settle();
  expect_refused(finish<VmRemove>(*host, stream).status, Code::kUnavailable,
                 "VM \"gone\" was removed, but its keys were not: the store's disk has failed");
}

TEST_F(AdminPurgeTest, GoesOnWithoutItsCaller) {
  auto host = admin();
  start<VmRemove>(*host, remove_request("gone", true));
  host.reset();
  settle();
  ASSERT_EQ(engine_.purges.size(), 1u);
  engine_.purges[0].done(store::OutcomeCode::kDone);
  settle();
}

}  // namespace
}  // namespace hostcall::daemon
