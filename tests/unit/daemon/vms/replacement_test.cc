// A reload in parts: nothing changes before its commit, and VMs come and go meanwhile.

#include "tests/unit/daemon/vms/registry_fixture.h"

namespace hostcall::daemon {
namespace {

using test::error_of;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Kind = Registry::Refusal::Kind;

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

}  // namespace
}  // namespace hostcall::daemon
