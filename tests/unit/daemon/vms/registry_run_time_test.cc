// VMs that come and go at run time: what is refused, what is kept on the disk, and what each costs beside many.
#include <sys/resource.h>
#include <unistd.h>

#include "proto/base/unique_fd.h"
#include "tests/support/compare_times.h"
#include "tests/unit/daemon/vms/registry_fixture.h"

namespace hostcall::daemon {
namespace {

using test::error_of;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;
using Kind = Registry::Refusal::Kind;

// While it lives, files can be made and removed in the directory, but it can't be read. For root's sake, all is done
// by another user meanwhile.
class WriteOnly {
 public:
  explicit WriteOnly(std::string directory) : directory_(std::move(directory)) {
    for (auto parent = std::filesystem::path(directory_); ::geteuid() == 0 && parent != "/tmp" && parent != "/";
         parent = parent.parent_path())
      EXPECT_EQ(::chown(parent.c_str(), kNobody, kNobody), 0);
    EXPECT_EQ(::chmod(directory_.c_str(), 0300), 0);
    if (::geteuid() == 0) {
      EXPECT_EQ(::seteuid(kNobody), 0);
    }
  }
  ~WriteOnly() {
    if (::getuid() == 0) {
      EXPECT_EQ(::seteuid(0), 0);
    }
    EXPECT_EQ(::chmod(directory_.c_str(), 0700), 0);
  }
  WriteOnly(const WriteOnly&) = delete;
  WriteOnly& operator=(const WriteOnly&) = delete;

 private:
  static constexpr uid_t kNobody = 65534;
  const std::string directory_;
};

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
  EXPECT_TRUE(registry.erasing("kept")().synced.ok()) << "there is nothing that could come back";
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

// The directory can be written, but not opened to be synced.
TEST_F(RegistryTest, ARecordThatACrashMayBringBackIsNamed) {
  auto registry = start();
  ASSERT_NE(add_persistent(registry, by_cid("first", 42)).vm, nullptr) << "makes the directory";
  const auto kept = registry.add(by_cid("kept", 43), true).vm;
  ASSERT_NE(kept, nullptr);
  const auto written = [&] {
    const WriteOnly directory(state_ + "/vms");
    return registry.writing(*kept)();
  }();
  ASSERT_FALSE(written.ok());
  EXPECT_THAT(written.error().message(), HasSubstr("; a crash of the host may bring its record back: sync "));
  EXPECT_FALSE(std::filesystem::exists(state_ + "/vms/kept.json"));
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

}  // namespace
}  // namespace hostcall::daemon
