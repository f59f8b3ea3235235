// The registry: whom it knows, what a reload changes, what clashes, and whom it refuses.

#include "tests/unit/daemon/vms/registry_fixture.h"

namespace hostcall::daemon {
namespace {

using test::error_of;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;
using Kind = Registry::Refusal::Kind;

TEST_F(RegistryTest, FindsByNameCidAndPath) {
  const auto registry = start({in_file(by_cid("web1", 42)), in_file(by_path("fc1", "/run/fc1"), 2)});
  ASSERT_NE(registry.find("web1"), nullptr);
  EXPECT_EQ(registry.find_by_cid(2, 42), registry.find("web1"));
  EXPECT_EQ(registry.find_by_path("/run/fc1"), registry.find("fc1"));
  EXPECT_EQ(registry.find("web"), nullptr);
  EXPECT_EQ(registry.find_by_cid(2, 43), nullptr);
  EXPECT_EQ(registry.find_by_cid(2, 0), nullptr) << "fc1 has no CID, which is not CID 0";
  EXPECT_EQ(registry.find_by_path(""), nullptr);
  EXPECT_EQ(registry.find("fc1")->origin, "vms.json:2");
}

TEST_F(RegistryTest, OnlyPeersThatDialledTheHostAreItsGuests) {
  const auto registry = start({in_file(by_cid("web1", 42))});
  EXPECT_EQ(registry.find_by_cid(7, 42), nullptr) << "a sibling in the outer host of a nested one";
  EXPECT_EQ(registry.find_by_cid(1, 42), nullptr);
}

TEST_F(RegistryTest, AVmCarriesItsLimits) {
  auto record = by_cid("web1", 42);
  record.limits = {{"connections", 3}, {"connect_burst", 2}};
  const auto vm = start({in_file(record)}).find("web1");
  EXPECT_EQ(vm->quota.limits().connections, 3u);
  EXPECT_EQ(vm->quota.limits().streams, Limits{}.streams);
  EXPECT_EQ(vm->connect_rate.left(TimePoint{}), 2);
}

// --- reload ---

TEST_F(RegistryTest, AReloadTellsWhatChanged) {
  auto registry = start({in_file(by_cid("gone", 40)), in_file(by_cid("moved", 41)), in_file(by_cid("same", 42))});
  const auto same = registry.find("same");
  const auto moved = registry.find("moved");
  const auto change = registry.replace_files(
      {in_file(by_cid("same", 42), 7), in_file(by_cid("moved", 40)), in_file(by_cid("new", 41))}, {});
  EXPECT_THAT(names(change.added), ElementsAre("moved", "new"));
  EXPECT_THAT(names(change.removed), ElementsAre("gone", "moved"));
  EXPECT_TRUE(moved->removed);
  EXPECT_FALSE(same->removed);
  EXPECT_EQ(registry.find("same"), same);
  EXPECT_EQ(same->origin, "vms.json:7");
  EXPECT_EQ(registry.find_by_cid(2, 40), registry.find("moved"));
  EXPECT_GT(registry.find("moved")->registration, moved->registration);
  EXPECT_EQ(registry.find("gone"), nullptr);
}

TEST_F(RegistryTest, AReloadGivesNewLimitsToAllVms) {
  auto registry = start({in_file(by_cid("file", 40))});
  ASSERT_NE(registry.add(by_cid("added", 41), false).vm, nullptr);
  const auto file = registry.find("file");
  ASSERT_EQ(file->connect_rate.take(TimePoint{}), Duration::zero());
  registry.replace_files({in_file(by_cid("file", 40))}, {.streams = 5});
  EXPECT_EQ(file->quota.limits().streams, 5u);
  EXPECT_EQ(registry.find("added")->quota.limits().streams, 5u);
  EXPECT_EQ(file->connect_rate.left(TimePoint{}), 49) << "an unchanged rate is not filled up again";
  registry.replace_files({in_file(by_cid("file", 40))}, {.connect_burst = 3});
  EXPECT_EQ(file->connect_rate.left(TimePoint{}), 3);
}

TEST_F(RegistryTest, AReloadThatClashesChangesNothing) {
  auto registry = start({in_file(by_cid("old", 40))});
  const auto old = registry.find("old");
  EXPECT_NE(error_of([&] {
              registry.replace_files({in_file(by_cid("a", 50)), in_file(by_cid("b", 50), 2)}, {});
            }),
            "no error");
  EXPECT_EQ(registry.find("old"), old);
  EXPECT_EQ(registry.find("a"), nullptr);
  EXPECT_FALSE(old->removed);
}

TEST_F(RegistryTest, AReloadThatCannotBeKeptChangesNothing) {
  auto registry = start({in_file(by_cid("old", 40))});
  const auto old = registry.find("old");
  std::filesystem::remove_all(dir_.path());
  EXPECT_THAT(error_of([&] { registry.replace_files({in_file(by_cid("new", 41))}, {}); }),
              StartsWith("the VM registrations can't be kept: make the directory " + run_));
  EXPECT_EQ(registry.find("old"), old);
  EXPECT_FALSE(old->removed);
}

// --- clashes ---

TEST_F(RegistryTest, TwoFileRecordsThatClashAreBothNamed) {
  const auto clash = [](const VmRecord& first, const VmRecord& second) {
    test::TempDir dir;
    Registry registry({.runtime_directory = dir.path(), .state_directory = dir.path(), .own_sockets = {}}, {});
    return error_of([&] { registry.replace_files({in_file(first, 3), in_file(second, 8)}, {}); });
  };
  EXPECT_EQ(clash(by_cid("a", 40), by_cid("a", 41)),
            "vms.json:8: VM \"a\": the name \"a\" is taken by VM \"a\" (vms.json:3)");
  EXPECT_EQ(clash(by_cid("a", 40), by_cid("b", 40)), "vms.json:8: VM \"b\": CID 40 is taken by VM \"a\" (vms.json:3)");
  EXPECT_EQ(clash(by_path("a", "/x"), by_path("b", "/x")),
            "vms.json:8: VM \"b\": unix_path /x is taken by VM \"a\" (vms.json:3)");
  EXPECT_EQ(clash(by_path("a", "/x"), by_path("b", "/y")), "no error") << "neither has a CID";
}

TEST_F(RegistryTest, DirectoriesAreReadInOrderAndCheckedForClashes) {
  dir_.write("b.json", "{\"vms\": [\n{\"name\": \"b\", \"cid\": 41}]}");
  dir_.write("a.json", R"({"name": "a", "cid": 40})");
  const auto records = Registry::read_directory(dir_.path());
  ASSERT_EQ(records.size(), 2u);
  EXPECT_EQ(records[0].record.name, "a");
  EXPECT_EQ(records[1].line, 2u);
  dir_.write("c.json", "\n{\"name\": \"c\", \"cid\": 41}");
  EXPECT_EQ(error_of([&] { Registry::read_directory(dir_.path()); }),
            dir_.path() + "/c.json:2: VM \"c\": CID 41 is taken by VM \"b\" (" + dir_.path() + "/b.json:2)");
}

TEST_F(RegistryTest, AFileRecordThatClashesWithARunTimeOneIsRefused) {
  auto registry = start();
  ASSERT_NE(registry.add(by_cid("added", 42), false).vm, nullptr);
  EXPECT_EQ(error_of([&] { registry.replace_files({in_file(by_cid("web1", 42), 4)}, {}); }),
            "vms.json:4: VM \"web1\": CID 42 is taken by VM \"added\" (run time)");
}

TEST_F(RegistryTest, LimitsThatContradictTheDefaultsAreRefused) {
  auto record = by_cid("web1", 42);
  record.limits = {{"memory_bytes", 65536}};
  auto registry = start();
  EXPECT_THAT(error_of([&] { registry.replace_files({in_file(record, 4)}, {}); }),
              StartsWith("vms.json:4: VM \"web1\": limit message_bytes (262144) is above memory_bytes (65536)"));
  const auto outcome = registry.add(record, false);
  EXPECT_EQ(outcome.vm, nullptr);
  EXPECT_EQ(outcome.refusal.kind, Kind::kInvalid);
  ASSERT_NO_THROW(registry.replace_files({}, {.message_bytes = 4096}));
  ASSERT_NE(registry.add(record, false).vm, nullptr);
  EXPECT_THAT(error_of([&] { registry.replace_files({}, {}); }), HasSubstr("or remove the VM"));
}

// --- refusals of peers ---

std::string vsock_refusal(std::uint32_t local_cid, std::uint32_t cid) {
  return Registry::refusal_text(
      {.family = net::Address::Family::kVsock, .local_cid = local_cid, .cid = cid, .port = 1023});
}

TEST(RefusalText, SaysWhoAndWhatToDo) {
  EXPECT_EQ(vsock_refusal(2, 77),
            "CID 77 is not registered with this host; on the host: hostcallctl vm add NAME --cid 77");
  EXPECT_EQ(
      vsock_refusal(1, 1),
      "a process of the host itself (CID 1, loopback) is not a guest; use hostcallctl, or a Unix listener of a VM");
  EXPECT_THAT(vsock_refusal(2, 0), StartsWith("CID 0 is reserved and never a guest's"));
  EXPECT_THAT(vsock_refusal(2, 2), StartsWith("CID 2 is reserved and never a guest's"));
  EXPECT_THAT(vsock_refusal(5, 2), StartsWith("CID 2 dialled CID 5, as which this machine is itself a guest"));
}

// The peer gets these texts, and is perhaps a guest.
TEST(RefusalText, OfUnixPeersNamesNoPath) {
  const net::Peer peer{.family = net::Address::Family::kUnix, .uid = 1000};
  EXPECT_EQ(Registry::refusal_text(peer),
            "no VM is registered with this listener; on the host: hostcallctl vm add NAME --unix PATH");
  auto record = by_path("fc1", "/run/x");
  record.vmm_uid = 993;
  const Vm vm(record, "run time", 1, {});
  EXPECT_EQ(Registry::refusal_text(peer, &vm),
            "the VMM on this listener runs as uid 1000, but VM \"fc1\" requires uid 993; run the VMM as that user or "
            "correct vmm_uid in the VM's record");
}

}  // namespace
}  // namespace hostcall::daemon
