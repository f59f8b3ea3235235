// The registry: whom it knows, what a reload changes, what clashes, and what outlives the daemon and the host.
#include "daemon/vms/registry.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <thread>

#include "proto/base/unique_fd.h"
#include "tests/support/compare_times.h"
#include "tests/support/temp_dir.h"
#include "tests/unit/daemon/config_error.h"

namespace hostcall::daemon {
namespace {

using test::error_of;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;
using Kind = Registry::Refusal::Kind;

VmRecord by_cid(const std::string& name, std::uint32_t cid) {
  return {.name = name, .uuid = {}, .tags = {}, .cid = cid, .unix_path = {}, .limits = {}};
}

VmRecord by_path(const std::string& name, const std::string& path) {
  return {.name = name, .uuid = {}, .tags = {}, .cid = 0, .unix_path = path, .limits = {}};
}

FileRecord in_file(VmRecord record, unsigned line = 1) {
  return {.record = std::move(record), .file = "vms.json", .line = line};
}

std::vector<std::string> names(const std::vector<VmRef>& vms) {
  std::vector<std::string> all;
  for (const auto& vm : vms) all.push_back(vm->record.name);
  return all;
}

class RegistryTest : public ::testing::Test {
 protected:
  // A daemon that starts: what is on disk, then the files of vms.d.
  Registry start(const std::vector<FileRecord>& files = {}) {
    Registry registry({.runtime_directory = run_, .state_directory = state_, .own_sockets = {}}, {});
    registry.replace_files(files, {});
    return registry;
  }
  void reboot_host() {
    std::filesystem::remove_all(run_);
    std::filesystem::create_directory(run_);
  }
  // With --persistent, as the service does it.
  static Registry::Outcome add_persistent(Registry& registry, const VmRecord& record) {
    auto outcome = registry.add(record, true);
    if (outcome.vm) {
      EXPECT_TRUE(registry.writing(*outcome.vm)().ok());
    }
    return outcome;
  }

  test::TempDir dir_;
  std::string run_ = make_directory("run");
  std::string state_ = make_directory("state");

 private:
  std::string make_directory(const std::string& name) {
    std::filesystem::create_directory(dir_ / name);
    return dir_ / name;
  }
};

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

// --- run time ---

TEST_F(RegistryTest, RefusalsSayWhyAndByWhom) {
  auto registry = start({in_file(by_cid("web1", 42), 4)});
  ASSERT_NE(registry.add(by_path("fc1", "/x"), true).vm, nullptr);
  const auto refusal = [&](const VmRecord& record) { return registry.add(record, false).refusal; };
  EXPECT_EQ(refusal(by_cid("Bad", 42)).kind, Kind::kInvalid);
  EXPECT_EQ(refusal(by_cid("web2", 42)).kind, Kind::kTaken);
  EXPECT_EQ(refusal(by_cid("web2", 42)).text, "VM \"web2\": CID 42 is taken by VM \"web1\" (vms.json:4)");
  EXPECT_EQ(refusal(by_cid("fc1", 50)).text,
            "VM \"fc1\": the name \"fc1\" is taken by VM \"fc1\" (run time, persistent)");
  EXPECT_EQ(refusal(by_path("fc2", "/x")).text,
            "VM \"fc2\": unix_path /x is taken by VM \"fc1\" (run time, persistent)");
  EXPECT_EQ(registry.all().size(), 2u);
}

TEST_F(RegistryTest, ASocketOfTheDaemonsOwnIsNoVms) {
  std::filesystem::create_directory(dir_ / "run");
  std::filesystem::create_directory_symlink("run", dir_ / "var-run");
  std::filesystem::create_symlink("run/admin.sock", dir_ / "elsewhere.sock");
  const std::vector<OwnSocket> own = {{"the admin socket", dir_ / "run/admin.sock"}, {"another", "@hostcall"}};
  Registry registry({.runtime_directory = run_, .state_directory = state_, .own_sockets = own}, {});
  registry.replace_files({}, {});
  for (const std::string path : {"run/admin.sock", "var-run/admin.sock", "elsewhere.sock"}) {
    const auto refused = registry.add(by_path("evil", dir_ / path), false);
    EXPECT_EQ(refused.vm, nullptr) << path;
    EXPECT_EQ(refused.refusal.kind, Registry::Refusal::Kind::kTaken);
    EXPECT_THAT(refused.refusal.text, HasSubstr(dir_ / path + " is taken by hostcalld itself, as the admin socket"));
    if (path != "run/admin.sock") {
      EXPECT_THAT(refused.refusal.text, HasSubstr("which calls the same socket " + dir_ / "run/admin.sock"));
    }
    if (path == "elsewhere.sock") continue;  // bind() refuses it, for this VM alone
    EXPECT_THAT(error_of([&] { registry.replace_files({in_file(by_path("evil", dir_ / path), 7)}, {}); }),
                HasSubstr("vms.json:7: VM \"evil\": unix_path " + dir_ / path + " is taken by hostcalld itself"));
  }
  EXPECT_EQ(registry.add(by_path("evil", "@hostcall"), false).vm, nullptr);
  EXPECT_NE(registry.add(by_path("good", dir_ / "run/good.sock"), false).vm, nullptr);
  EXPECT_EQ(registry.add(by_path("twin", dir_ / "var-run/good.sock"), false).vm, nullptr) << "nor two VMs' one socket";

  const auto file = dir_.write("evil.json", R"({"name": "evil", "unix_path": ")" + dir_ / "var-run/admin.sock" + "\"}");
  std::filesystem::create_directory(dir_ / "vms.d");
  std::filesystem::rename(file, dir_ / "vms.d/evil.json");
  EXPECT_THAT(error_of([&] {
                Registry::read_directory(dir_ / "vms.d",
                                         {.runtime_directory = {}, .state_directory = {}, .own_sockets = own});
              }),
              HasSubstr("evil.json:1"));
}

TEST_F(RegistryTest, VmsWhosePathsCameToNameOneSocketKeepNobodyElseOut) {
  auto registry = start();
  ASSERT_NE(registry.add(by_path("a", dir_ / "one/s"), false).vm, nullptr);
  ASSERT_NE(registry.add(by_path("b", dir_ / "two/s"), false).vm, nullptr);
  std::filesystem::create_directory(dir_ / "one");
  std::filesystem::create_directory_symlink("one", dir_ / "two");
  EXPECT_NE(registry.add(by_path("c", dir_ / "three/s"), false).vm, nullptr);
  EXPECT_THAT(names(registry.replace_files({in_file(by_cid("d", 42))}, {}).added), ElementsAre("d"));
  const auto refused = registry.add(by_path("e", dir_ / "two/s"), false);
  EXPECT_EQ(refused.refusal.kind, Kind::kTaken);
  EXPECT_THAT(refused.refusal.text, HasSubstr("is taken by VM \"b\" (run time)"));
}

// A VMM may write to its directory: what it makes of its own socket's path is no other VM's trouble.
TEST_F(RegistryTest, ALinkInTheWayOfOneVmStopsNoReload) {
  const auto one = dir_ / "one.sock", two = dir_ / "two.sock";
  const std::vector<OwnSocket> own = {{"the admin socket", dir_ / "admin.sock"}};
  Registry registry({.runtime_directory = run_, .state_directory = state_, .own_sockets = own}, {});
  for (const auto* target : {"one.sock", "admin.sock", "two.sock"}) {
    std::filesystem::remove(two);
    std::filesystem::create_symlink(target, two);
    registry.replace_files({in_file(by_path("web1", one)), in_file(by_path("db1", two), 2)}, {});
    EXPECT_NE(registry.find("db1"), nullptr) << target;
  }
  EXPECT_EQ(registry.add(by_path("late", dir_ / "one.sock"), false).vm, nullptr);
}

TEST_F(RegistryTest, RemovesRunTimeRecordsOnly) {
  auto registry = start({in_file(by_cid("web1", 42), 4)});
  const auto added = registry.add(by_cid("web2", 43), false).vm;
  ASSERT_NE(added, nullptr);
  const auto removed = registry.remove("web2");
  EXPECT_EQ(removed.vm, added);
  EXPECT_TRUE(added->removed);
  EXPECT_EQ(registry.find_by_cid(2, 43), nullptr);
  EXPECT_EQ(registry.remove("web2").refusal.kind, Kind::kNotFound);
  const auto from_file = registry.remove("web1");
  EXPECT_EQ(from_file.vm, nullptr);
  EXPECT_EQ(from_file.refusal.kind, Kind::kFromFile);
  EXPECT_EQ(from_file.refusal.text,
            "VM \"web1\" comes from vms.json:4; take it out there, then: systemctl reload hostcalld");
}

TEST_F(RegistryTest, WhatCannotBeKeptIsNotDone) {
  auto registry = start();
  const auto kept = registry.add(by_cid("kept", 42), true).vm;
  ASSERT_NE(kept, nullptr);
  const auto boot = registry.add(by_cid("boot", 44), false).vm;
  ASSERT_NE(boot, nullptr);
  std::filesystem::remove_all(dir_.path());
  const auto add = registry.add(by_cid("web2", 43), false);
  EXPECT_EQ(add.vm, nullptr);
  EXPECT_EQ(add.refusal.kind, Kind::kStorage);
  EXPECT_THAT(add.refusal.text, StartsWith("VM \"web2\" is not added: make the directory "));
  EXPECT_EQ(registry.find("web2"), nullptr);
  EXPECT_FALSE(registry.writing(*kept)().ok());
  EXPECT_FALSE(registry.erasing("kept")().synced.ok());
  EXPECT_EQ(registry.remove("boot").refusal.kind, Kind::kStorage);
  EXPECT_EQ(registry.find("boot"), boot);
  EXPECT_FALSE(boot->removed);
}

// Its record is erased first, so it must not stay registered until the next start.
TEST_F(RegistryTest, AnErasedPersistentVmGoesEvenIfItsNumberCannotBeForgotten) {
  {
    auto registry = start();
    ASSERT_NE(add_persistent(registry, by_cid("kept", 42)).vm, nullptr);
    ASSERT_TRUE(registry.erasing("kept")().removed.ok());
    const auto registrations = run_ + "/registrations";
    std::filesystem::rename(registrations, run_ + "/away");
    dir_.write("run/registrations", "no directory");
    const auto removed = registry.remove("kept").vm;
    ASSERT_NE(removed, nullptr);
    EXPECT_TRUE(removed->removed);
    EXPECT_EQ(registry.find("kept"), nullptr);
    std::filesystem::remove(registrations);
    std::filesystem::rename(run_ + "/away", registrations);
  }
  EXPECT_EQ(start().find("kept"), nullptr);
  EXPECT_FALSE(std::filesystem::exists(run_ + "/registrations/kept.json")) << "the start forgets it";
}

// The file gets the last descriptor, so that its directory can't be opened to be synced.
TEST_F(RegistryTest, ARecordThatIsPerhapsNotOnTheDiskIsErased) {
  auto registry = start();
  ASSERT_NE(add_persistent(registry, by_cid("first", 42)).vm, nullptr) << "makes the directory";
  const auto kept = registry.add(by_cid("kept", 43), true).vm;
  ASSERT_NE(kept, nullptr);
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  const auto next = UniqueFd::adopt(::dup(0)).get();
  const rlimit one_more{static_cast<rlim_t>(next) + 1, before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &one_more), 0);
  const auto written = registry.writing(*kept)();
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
  ASSERT_FALSE(written.ok());
  EXPECT_THAT(written.error().message(), StartsWith("sync " + state_ + "/vms: "));
  EXPECT_FALSE(std::filesystem::exists(state_ + "/vms/kept.json"));
  EXPECT_TRUE(std::filesystem::exists(state_ + "/vms/first.json"));
}

// --- restarts ---

TEST_F(RegistryTest, RunTimeRecordsOutliveTheDaemonAndPersistentOnesTheHost) {
  {
    auto registry = start();
    ASSERT_NE(registry.add(by_cid("boot", 42), false).vm, nullptr);
    ASSERT_NE(add_persistent(registry, by_path("stay", "/x")).vm, nullptr);
  }
  {
    const auto registry = start();
    ASSERT_NE(registry.find("boot"), nullptr);
    EXPECT_EQ(registry.find("boot")->origin, "run time");
    EXPECT_EQ(registry.find_by_cid(2, 42), registry.find("boot"));
    EXPECT_EQ(registry.find("stay")->origin, "run time, persistent");
  }
  reboot_host();
  const auto registry = start();
  EXPECT_EQ(registry.find("boot"), nullptr);
  ASSERT_NE(registry.find("stay"), nullptr);
  EXPECT_EQ(registry.find_by_path("/x"), registry.find("stay"));
}

TEST_F(RegistryTest, WhatIsRemovedStaysAwayAfterARestart) {
  {
    auto registry = start();
    ASSERT_NE(registry.add(by_cid("boot", 42), false).vm, nullptr);
    ASSERT_NE(add_persistent(registry, by_cid("stay", 43)).vm, nullptr);
    ASSERT_NE(registry.remove("boot").vm, nullptr);
    ASSERT_TRUE(registry.erasing("stay")().removed.ok());
    ASSERT_NE(registry.remove("stay").vm, nullptr);
  }
  EXPECT_EQ(start().all().size(), 0u);
}

TEST_F(RegistryTest, AnUnchangedRecordKeepsItsNumberAcrossRestarts) {
  std::map<std::string, std::uint64_t> numbers;
  {
    auto registry = start({in_file(by_cid("file", 40)), in_file(by_cid("changing", 41))});
    ASSERT_NE(registry.add(by_cid("boot", 42), false).vm, nullptr);
    ASSERT_NE(add_persistent(registry, by_cid("stay", 43)).vm, nullptr);
    for (const auto& [name, vm] : registry.all()) numbers[name] = vm->registration;
  }
  const auto registry = start({in_file(by_cid("file", 40), 9), in_file(by_cid("changing", 51))});
  for (const auto* name : {"file", "boot", "stay"}) EXPECT_EQ(registry.find(name)->registration, numbers[name]) << name;
  EXPECT_GT(registry.find("changing")->registration, numbers["stay"]) << "a new registration, with a higher number";
}

TEST_F(RegistryTest, NumbersAreNeverGivenTwice) {
  auto registry = start();
  const auto first = registry.add(by_cid("web1", 42), false).vm->registration;
  ASSERT_NE(registry.remove("web1").vm, nullptr);
  const auto second = registry.add(by_cid("web1", 42), false).vm->registration;
  EXPECT_GT(second, first);
  ASSERT_NE(registry.remove("web1").vm, nullptr);
  auto restarted = start();
  EXPECT_GT(restarted.add(by_cid("web1", 42), false).vm->registration, second)
      << "also when the newest holder is gone before the restart";
}

// A count would tell a guest how many other VMs the host registers.
TEST_F(RegistryTest, NumbersAreTimesAndCountNothing) {
  auto registry = start();
  const auto time = [&](const std::string& name, std::uint32_t cid) {
    return registry.add(by_cid(name, cid), false).vm->registration;
  };
  const auto early = time("web1", 42);
  std::this_thread::sleep_for(std::chrono::milliseconds(2));
  EXPECT_GE(time("web2", 43) - early, 2000u);
}

TEST_F(RegistryTest, AFileRecordThatGoesAndComesBackIsNew) {
  const auto first = start({in_file(by_cid("web1", 42))}).find("web1")->registration;
  auto registry = start({in_file(by_cid("web1", 42))});
  ASSERT_EQ(registry.find("web1")->registration, first) << "kept over the restart";
  registry.replace_files({}, {});
  registry.replace_files({in_file(by_cid("web1", 42))}, {});
  EXPECT_GT(registry.find("web1")->registration, first);
}

TEST_F(RegistryTest, ABrokenFileOfItsOwnStopsTheStart) {
  std::filesystem::create_directory(state_ + "/vms");
  dir_.write("state/vms/a.json", R"({"name": "a", "cid": 40})");
  dir_.write("state/vms/b.json", "\n{\"name\": \"b\", \"cid\": 40}");
  EXPECT_EQ(error_of([&] { start(); }), state_ + "/vms/b.json:2: VM \"b\": CID 40 is taken by VM \"a\" (" + state_ +
                                            "/vms/a.json); hostcalld wrote this file itself: remove the record");
  std::filesystem::create_directory(run_ + "/registrations");
  dir_.write("run/registrations/c.json", "?");
  EXPECT_THAT(error_of([&] { start(); }), HasSubstr("hostcalld wrote this file itself: remove it"));
}

// What is not registered any more leaves the runtime directory, and what never was in it comes in.
TEST_F(RegistryTest, TheRuntimeDirectoryHoldsWhatIsRegistered) {
  const auto kept = [this] {
    std::vector<std::string> names;
    for (const auto& file : std::filesystem::directory_iterator(run_ + "/registrations"))
      if (file.path().extension() == ".json") names.push_back(file.path().stem());
    std::ranges::sort(names);
    return names;
  };
  {
    auto registry = start({in_file(by_cid("file", 40)), in_file(by_cid("gone", 41))});
    ASSERT_NE(add_persistent(registry, by_cid("stay", 43)).vm, nullptr);
  }
  reboot_host();
  { start({in_file(by_cid("file", 40)), in_file(by_cid("gone", 41))}); }
  EXPECT_THAT(kept(), ElementsAre("file", "gone", "stay"));
  auto registry = start({in_file(by_cid("file", 40))});
  EXPECT_THAT(kept(), ElementsAre("file", "stay"));
  registry.replace_files({in_file(by_cid("other", 40))}, {});
  EXPECT_THAT(kept(), ElementsAre("other", "stay"));
}

// --- many VMs ---

std::vector<FileRecord> many(std::uint32_t vms, const std::string& directory) {
  std::vector<FileRecord> records;
  for (std::uint32_t i = 0; i < vms; ++i) {
    auto record = by_path("vm" + std::to_string(i), directory + "/vm" + std::to_string(i));
    record.cid = 1000 + i;
    records.push_back(in_file(record, i + 1));
  }
  return records;
}

TEST_F(RegistryTest, AddingAndRemovingCostsTheSameBesideManyVms) {
  const hostcall::test::TempDir other;
  auto few = start(many(10, dir_.path()));
  Registry crowded({.runtime_directory = other.path(), .state_directory = other.path(), .own_sockets = {}}, {});
  crowded.replace_files(many(10'000, dir_.path()), {});
  const auto work = [this](Registry& registry) {
    return [&registry, record = by_path("one", dir_ / "one")] {
      return hostcall::test::time_of([&] {
        for (int i = 0; i < 10; ++i) {
          EXPECT_NE(registry.add(record, false).vm, nullptr);
          EXPECT_NE(registry.remove("one").vm, nullptr);
        }
      });
    };
  };
  EXPECT_TRUE(hostcall::test::takes_at_most(2, work(crowded), work(few)));
}

// --- in parts ---

TEST_F(RegistryTest, NothingChangesBeforeTheCommitAndVmsComeAndGoMeanwhile) {
  auto registry = start({in_file(by_cid("old", 40)), in_file(by_cid("same", 41))});
  ASSERT_NE(registry.add(by_cid("early", 50), false).vm, nullptr);
  registry.begin_replacement({in_file(by_cid("same", 41)), in_file(by_cid("new", 42))}, {});
  while (!registry.prepare(1)) {
    EXPECT_NE(registry.find("old"), nullptr);
    EXPECT_EQ(registry.find("new"), nullptr);
    if (registry.find("late") == nullptr) {
      ASSERT_NE(registry.add(by_cid("late", 51), false).vm, nullptr);
      ASSERT_NE(registry.remove("early").vm, nullptr);
    }
  }
  EXPECT_EQ(registry.add(by_cid("x", 42), false).refusal.kind, Kind::kTaken) << "it will be new's";
  EXPECT_THAT(names(registry.commit().added), ElementsAre("new"));
  std::vector<std::string> all;
  for (const auto& [name, vm] : registry.all()) all.push_back(name);
  EXPECT_THAT(all, ElementsAre("late", "new", "same"));
  ASSERT_NE(registry.remove("late").vm, nullptr);
  while (!registry.settle(1)) {
  }
  EXPECT_EQ(registry.trouble(), "");
  EXPECT_EQ(registry.find_by_cid(2, 51), nullptr);
  EXPECT_EQ(registry.find_by_cid(2, 50), nullptr);
}

TEST_F(RegistryTest, AVmThatTakesWhatAFileNeedsStopsTheReplacementOnly) {
  auto registry = start({in_file(by_cid("old", 40))});
  registry.begin_replacement({in_file(by_cid("a", 41)), in_file(by_cid("b", 42), 2)}, {});
  ASSERT_FALSE(registry.prepare(1));
  ASSERT_NE(registry.add(by_cid("late", 42), false).vm, nullptr);
  EXPECT_EQ(error_of([&] {
              while (!registry.prepare(1)) {
              }
            }),
            "vms.json:2: VM \"b\": CID 42 is taken by VM \"late\" (run time)");
  EXPECT_NE(registry.find("old"), nullptr);
  EXPECT_THAT(names(registry.replace_files({in_file(by_cid("a", 41))}, {}).added), ElementsAre("a"));
}

TEST_F(RegistryTest, AVmThatIsAddedMeanwhileSuitsTheLimitsToCome) {
  auto narrow = by_cid("narrow", 50);
  narrow.limits = {{"memory_bytes", 65536}};
  auto registry = start();
  registry.replace_files({}, {.message_bytes = 4096});
  registry.begin_replacement({}, {});
  ASSERT_TRUE(registry.prepare(kAllAtOnce));
  const auto refused = registry.add(narrow, false);
  EXPECT_EQ(refused.refusal.kind, Kind::kInvalid);
  EXPECT_THAT(refused.refusal.text, HasSubstr("limit message_bytes (262144) is above memory_bytes (65536)"));
  registry.commit();
  EXPECT_EQ(registry.add(narrow, false).refusal.kind, Kind::kInvalid);
}

// A VMM's own directory is made between the two.
TEST_F(RegistryTest, AVmWhoseSocketIsFoundMeanwhileIsKnownByIt) {
  auto registry = start();
  registry.begin_replacement({}, {});
  ASSERT_TRUE(registry.prepare(kAllAtOnce));
  const auto vm = registry.add(by_path("a", dir_ / "own/s"), false).vm;
  ASSERT_NE(vm, nullptr);
  std::filesystem::create_directory(dir_ / "own");
  registry.locate(*vm);
  registry.commit();
  ASSERT_TRUE(registry.settle(kAllAtOnce));
  std::filesystem::create_directory_symlink("own", dir_ / "link");
  EXPECT_EQ(registry.add(by_path("b", dir_ / "link/s"), false).refusal.kind, Kind::kTaken);
  ASSERT_NE(registry.remove("a").vm, nullptr);
  EXPECT_NE(registry.add(by_path("b", dir_ / "link/s"), false).vm, nullptr);
}

TEST_F(RegistryTest, WhatARemovedVmHadIsFreeAtTheEndOfTheReplacement) {
  auto registry = start({in_file(by_cid("old", 40))});
  registry.begin_replacement({}, {});
  ASSERT_TRUE(registry.prepare(kAllAtOnce));
  registry.commit();
  const auto refused = registry.add(by_cid("old", 41), false);
  EXPECT_EQ(refused.refusal.kind, Kind::kTaken);
  EXPECT_THAT(refused.refusal.text, HasSubstr("which a reload has removed and not closed yet; try again"));
  ASSERT_TRUE(registry.settle(kAllAtOnce));
  EXPECT_NE(registry.add(by_cid("old", 41), false).vm, nullptr);
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
