// VM records in files: what an administrator writes, and what the registry keeps itself.
#include "daemon/config/vm_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>

#include "tests/support/contents.h"
#include "tests/support/temp_dir.h"
#include "tests/unit/daemon/config_error.h"

namespace hostcall::daemon {
namespace {

using test::error_of;
using test::TempDir;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

std::vector<FileRecord> parse(std::string_view text) { return records_of(JsonValue::parse("v.json", text)); }
std::string parse_error(std::string_view text) {
  return error_of([&] { parse(text); });
}

VmRecord full_record() {
  return {.name = "fc1",
          .uuid = "8d4c6e0e-6a39-4b0c-9a57-3a6a3f2f1c11",
          .tags = {"web", "a"},
          .cid = 4294967294,
          .unix_path = "/run/ü\"\\.sock_18499",
          .vmm_uid = 0,
          .limits = {{"streams", 7}}};
}

TEST(VmFile, ReadsAListOfRecords) {
  const auto records = parse(R"({"vms": [
    {"name": "web1", "cid": 42},
    {"name": "fc1", "uuid": "8d4c6e0e-6a39-4b0c-9a57-3a6a3f2f1c11", "tags": ["web", "a"], "cid": 4294967294,
     "unix_path": "/run/ü\"\\.sock_18499", "vmm_uid": 0, "limits": {"streams": 7}}
  ]})");
  ASSERT_EQ(records.size(), 2u);
  EXPECT_EQ(records[0].record.name, "web1");
  EXPECT_EQ(records[0].record.vmm_uid, std::nullopt);
  EXPECT_EQ(records[0].file, "v.json");
  EXPECT_EQ(records[0].line, 2u);
  EXPECT_EQ(records[1].record, full_record());
  EXPECT_EQ(records[1].line, 3u);
}

TEST(VmFile, AFileCanBeASingleRecord) {
  const auto records = parse("\n{\"name\": \"web1\", \"cid\": 42}");
  ASSERT_EQ(records.size(), 1u);
  EXPECT_EQ(records[0].record.cid, 42u);
  EXPECT_EQ(records[0].line, 2u);
}

TEST(VmFile, ComplaintsNameTheirLine) {
  EXPECT_EQ(parse_error("{\"vms\": [\n{\"cid\": 42}]}"), "v.json:2: the key \"name\" is missing");
  EXPECT_EQ(parse_error("{\"vms\": [],\n\"vm\": []}"),
            "v.json:2: unknown key \"vm\" (did you mean \"vms\"?); the only known key is vms");
  EXPECT_EQ(parse_error("{\"name\": \"a\",\n\"cid\": 2}"),
            "v.json:2: cid: expected a whole number from 3 to 4294967294, but this is 2");
  EXPECT_THAT(parse_error("{\"vms\": [\n\n{\"name\": \"a\", \"cid\": 3, \"uuid\": \"x\"}]}"),
              StartsWith("v.json:3: VM \"a\": uuid \"x\" must have the form"));
  EXPECT_EQ(parse_error("{\"name\": \"a\", \"unix_path\": \"/x\", \"vmm_uid\": 4294967295}"),
            "v.json:1: vmm_uid: expected a whole number from 0 to 4294967294, but this is 4294967295");
  EXPECT_THAT(parse_error("{\"name\": \"a\", \"cid\": 3, \"limits\": {\n\"x\": 1}}"),
              StartsWith("v.json:2: there is no limit \"x\""));
  EXPECT_EQ(parse_error("{\"name\": \"a\", \"cid\": 3, \"tags\": [\"x\",\n1]}"),
            "v.json:2: tags: expected a string, but this is a number");
}

RuntimeDirectory::Entry entry(std::uint64_t number, bool run_time, VmRecord record) {
  return {.registration = number, .run_time = run_time, .record = std::move(record)};
}

VmRecord web1() { return {.name = "web1", .uuid = {}, .tags = {}, .cid = 42, .unix_path = {}, .limits = {}}; }

std::vector<std::string> names_in(const std::string& directory) {
  std::vector<std::string> names;
  for (const auto& file : std::filesystem::directory_iterator(directory)) names.push_back(file.path().filename());
  std::ranges::sort(names);
  return names;
}

TEST(RuntimeDirectory, GivesBackWhatWasWritten) {
  const TempDir dir;
  const RuntimeDirectory kept(dir / "vms");
  ASSERT_TRUE(kept.write(entry(4, true, full_record())).ok());
  ASSERT_TRUE(kept.write(entry(9, false, web1())).ok());
  auto contents = kept.read();
  EXPECT_EQ(contents.last_registration, 9u);
  ASSERT_EQ(contents.entries.size(), 2u);
  EXPECT_EQ(contents.entries[0].registration, 4u);
  EXPECT_TRUE(contents.entries[0].run_time);
  EXPECT_EQ(contents.entries[0].record, full_record());
  EXPECT_FALSE(contents.entries[1].run_time);
  EXPECT_EQ(contents.entries[1].record.name, "web1");
  ASSERT_TRUE(kept.write_last_registration(11).ok());
  ASSERT_TRUE(kept.remove("web1").ok());
  contents = kept.read();
  EXPECT_EQ(contents.last_registration, 11u) << "also when its holder is gone";
  EXPECT_EQ(contents.entries.size(), 1u);
}

TEST(RuntimeDirectory, IsOursAloneAndAChangeIsOneFile) {
  const TempDir dir;
  const RuntimeDirectory kept(dir / "vms");
  ASSERT_TRUE(kept.write(entry(1, true, full_record())).ok());
  ASSERT_TRUE(kept.write(entry(2, true, web1())).ok());
  EXPECT_THAT(names_in(dir / "vms"), ElementsAre(full_record().name + ".json", "web1.json"));
  struct stat status {
  }, other{};
  ASSERT_EQ(::stat((dir / "vms").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777, 0700u);
  ASSERT_EQ(::stat((dir / "vms/web1.json").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777, 0600u);
  ASSERT_TRUE(kept.write(entry(3, true, full_record())).ok());
  ASSERT_EQ(::stat((dir / "vms/web1.json").c_str(), &other), 0);
  EXPECT_EQ(other.st_ino, status.st_ino) << "the others are not written again";
  ASSERT_TRUE(kept.remove("web1").ok());
  ASSERT_TRUE(kept.remove("web1").ok()) << "that it is gone is all that matters";
  EXPECT_THAT(names_in(dir / "vms"), ElementsAre(full_record().name + ".json"));
}

TEST(RuntimeDirectory, ALinkInTheWayIsNeitherFollowedNorRemoved) {
  const TempDir dir;
  const auto victim = dir.write("victim", "untouched");
  std::filesystem::create_symlink(victim, dir / "web1.json.new");
  EXPECT_FALSE(RuntimeDirectory(dir.path()).write(entry(1, true, web1())).ok());
  EXPECT_EQ(test::contents_of(victim), "untouched");
  EXPECT_TRUE(std::filesystem::is_symlink(dir / "web1.json.new")) << "it is not ours";
}

TEST(RuntimeDirectory, AFailureNamesTheFileAndKeepsTheOldOne) {
  const TempDir dir;
  const auto path = dir / "web1.json";
  std::filesystem::create_directory(path);
  dir.write("web1.json/old", "x");
  const auto written = RuntimeDirectory(dir.path()).write(entry(1, true, web1()));
  ASSERT_FALSE(written.ok());
  EXPECT_EQ(written.error().message(), "rename to " + path + ": Is a directory");
  EXPECT_TRUE(std::filesystem::exists(path + "/old"));
  EXPECT_FALSE(std::filesystem::exists(path + ".new"));
}

TEST(RuntimeDirectory, AMissingOneIsEmptyAndABrokenFileIsAnError) {
  const TempDir dir;
  EXPECT_EQ(RuntimeDirectory(dir / "missing").read().last_registration, 0u);
  const auto path = dir.write("web1.json", "{\n\"run_time\": true}");
  EXPECT_EQ(error_of([&] { (void)RuntimeDirectory(dir.path()).read(); }),
            path +
                ":1: the key \"registration\" is missing; hostcalld wrote this file itself: remove it; a VM added at "
                "run time without --persistent is then to be added again");
}

// As when the daemon removes a VM while another process checks the configuration.
TEST(RuntimeDirectory, AFileThatHasGoneMeanwhileIsNone) {
  const TempDir dir;
  const RuntimeDirectory runtime(dir.path());
  ASSERT_TRUE(runtime.write({.registration = 3, .run_time = true, .record = full_record()}).ok());
  std::filesystem::create_symlink(dir / "nothing", dir / "gone.json");
  EXPECT_EQ(runtime.read().entries.size(), 1u);
}

TEST(StateDirectory, GivesBackWhatWasWritten) {
  const TempDir dir;
  const StateDirectory kept(dir / "vms");
  EXPECT_EQ(kept.read().size(), 0u);
  ASSERT_TRUE(kept.write(full_record()).ok());
  ASSERT_TRUE(kept.write(web1()).ok());
  auto records = kept.read();
  ASSERT_EQ(records.size(), 2u);
  EXPECT_EQ(records[0].record, full_record());
  ASSERT_TRUE(kept.remove("web1").removed.ok());
  EXPECT_EQ(kept.read().size(), 1u);
  dir.write("vms/web1.json", "");
  EXPECT_THAT(error_of([&] { (void)kept.read(); }), HasSubstr("it holds a VM added with --persistent"));
}

}  // namespace
}  // namespace hostcall::daemon
