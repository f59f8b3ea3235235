// What outlives the daemon and the host.
#include <thread>

#include "tests/unit/daemon/vms/registry_fixture.h"

namespace hostcall::daemon {
namespace {

using test::error_of;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

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

}  // namespace
}  // namespace hostcall::daemon
