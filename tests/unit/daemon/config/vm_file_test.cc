// VM records in files: what an administrator writes, and what the registry keeps itself.
#include "daemon/config/vm_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

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
  EXPECT_EQ(parse_error("{\"vms\": [],\n\"vm\": []}"), "v.json:2: unknown key \"vm\"; known are vms");
  EXPECT_EQ(parse_error("{\"name\": \"a\",\n\"cid\": 2}"),
            "v.json:2: expected a whole number from 3 to 4294967294, but this is 2");
  EXPECT_THAT(parse_error("{\"vms\": [\n\n{\"name\": \"a\", \"cid\": 3, \"uuid\": \"x\"}]}"),
              StartsWith("v.json:3: VM \"a\": uuid \"x\" must have the form"));
  EXPECT_EQ(parse_error("{\"name\": \"a\", \"unix_path\": \"/x\", \"vmm_uid\": 4294967295}"),
            "v.json:1: expected a whole number from 0 to 4294967294, but this is 4294967295");
  EXPECT_THAT(parse_error("{\"name\": \"a\", \"cid\": 3, \"limits\": {\n\"x\": 1}}"),
              StartsWith("v.json:2: there is no limit \"x\""));
  EXPECT_EQ(parse_error("{\"name\": \"a\", \"cid\": 3, \"tags\": [\"x\",\n1]}"),
            "v.json:2: expected a string, but this is a number");
}

RuntimeState some_state() {
  return {.last_registration = 9,
          .entries = {{.registration = 4, .run_time = true, .record = full_record()},
                      {.registration = 9,
                       .run_time = false,
                       .record = {.name = "web1", .uuid = {}, .tags = {}, .cid = 42, .unix_path = {}, .limits = {}}}}};
}

TEST(RuntimeFile, GivesBackWhatWasWritten) {
  const TempDir dir;
  const auto path = dir / "vms.json";
  ASSERT_TRUE(some_state().write(path).ok());
  const auto state = RuntimeState::read(path);
  EXPECT_EQ(state.last_registration, 9u);
  ASSERT_EQ(state.entries.size(), 2u);
  EXPECT_EQ(state.entries[0].registration, 4u);
  EXPECT_TRUE(state.entries[0].run_time);
  EXPECT_EQ(state.entries[0].record, full_record());
  EXPECT_FALSE(state.entries[1].run_time);
  EXPECT_EQ(state.entries[1].record.name, "web1");
}

TEST(RuntimeFile, IsOursAloneAndLeavesNothingBeside) {
  const TempDir dir;
  const auto path = dir / "vms.json";
  ASSERT_TRUE(some_state().write(path).ok());
  ASSERT_TRUE(RuntimeState{}.write(path).ok());
  EXPECT_EQ(RuntimeState::read(path).entries.size(), 0u);
  struct stat status {};
  ASSERT_EQ(::stat(path.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777, 0600u);
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(dir.path())) names.push_back(entry.path().filename());
  EXPECT_THAT(names, ElementsAre("vms.json"));
}

TEST(RuntimeFile, ReplacesALinkInsteadOfWritingThroughIt) {
  const TempDir dir;
  const auto victim = dir.write("victim", "untouched");
  std::filesystem::create_symlink(victim, dir / "vms.json.new");
  EXPECT_FALSE(some_state().write(dir / "vms.json").ok());
  EXPECT_EQ(test::contents_of(victim), "untouched");
}

TEST(RuntimeFile, AFailureNamesTheFileAndKeepsTheOldOne) {
  const TempDir dir;
  const auto path = dir / "vms.json";
  std::filesystem::create_directory(path);
  dir.write("vms.json/old", "x");
  const auto written = some_state().write(path);
  ASSERT_FALSE(written.ok());
  EXPECT_EQ(written.error().message(), "rename to " + path + ": Is a directory");
  EXPECT_TRUE(std::filesystem::exists(path + "/old"));
  EXPECT_FALSE(std::filesystem::exists(path + ".new"));
}

TEST(RuntimeFile, AMissingOneIsEmptyAndABrokenOneIsAnError) {
  const TempDir dir;
  const auto path = dir / "vms.json";
  EXPECT_EQ(RuntimeState::read(path).last_registration, 0u);
  dir.write("vms.json", "{\n\"vms\": []}");
  EXPECT_EQ(error_of([&] { RuntimeState::read(path); }),
            path +
                ":1: the key \"last_registration\" is missing; hostcalld wrote this file itself: remove it, VMs added "
                "at run time without --persistent are then to be added again");
}

TEST(StateFile, GivesBackWhatWasWritten) {
  const TempDir dir;
  const auto path = dir / "vms.json";
  EXPECT_EQ(read_state(path).size(), 0u);
  ASSERT_TRUE(write_state(path, {full_record()}).ok());
  const auto records = read_state(path);
  ASSERT_EQ(records.size(), 1u);
  EXPECT_EQ(records[0].record, full_record());
  dir.write("vms.json", "");
  EXPECT_THAT(error_of([&] { read_state(path); }), HasSubstr("it holds the VMs added with --persistent"));
}

}  // namespace
}  // namespace hostcall::daemon
