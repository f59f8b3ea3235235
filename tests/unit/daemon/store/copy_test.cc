// Copies of a running store, and copies in its place: each is whole, and whatever fails changes nothing.
#include "daemon/store/copy.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "daemon/store/restore.h"
#include "proto/base/unique_fd.h"
#include "tests/support/contents.h"
#include "tests/unit/daemon/store/engine_fixture.h"

namespace hostcall::daemon::store {
namespace {

using ::testing::HasSubstr;
namespace fs = std::filesystem;

class StoreCopyTest : public EngineTest {
 protected:
  std::string copy() const { return dir / "copy.db"; }
  std::string store() const { return dir / "store.db"; }
  // Why there is no copy.
  std::string copied() {
    std::optional<std::string> error;
    const auto ticket = engine->copy_to(copy(), [&](const std::string& why) { error = why; });
    EXPECT_TRUE(run_until(*engine, [&] { return error.has_value(); }));
    return error.value_or("no answer");
  }
  void fill(int keys) {
    for (int i = 0; i < keys; ++i)
      EXPECT_EQ(put("/vm/a/" + std::to_string(i), std::string(4000, 'x')).code, OutcomeCode::kDone);
  }
  // What restore_store() throws; empty: it has succeeded, and `kept` is the old store.
  std::string restored() {
    const auto file = UniqueFd::adopt(::open(copy().c_str(), O_RDONLY | O_CLOEXEC));
    try {
      kept = restore_store(file.get(), store());
      return {};
    } catch (const std::runtime_error& error) {
      return error.what();
    }
  }
  std::vector<std::string> files() const {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(dir.path())) names.push_back(entry.path().filename());
    return names;
  }
  std::string kept;
};

TEST_F(StoreCopyTest, IsAWholeStoreOfOneFile) {
  fill(300);
  EXPECT_EQ(copied(), "");
  struct stat status {};
  ASSERT_EQ(::stat(copy().c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600u);
  EXPECT_FALSE(fs::exists(copy() + "-wal"));
  EXPECT_EQ(put("/vm/a/0", "later").code, OutcomeCode::kDone);
  engine.reset();
  EXPECT_EQ(restored(), "");
  open();
  EXPECT_EQ(engine->stats().keys, 300u);
  EXPECT_EQ(value_of(*engine, "/vm/a/0"), std::string(4000, 'x')) << "what came after the copy is gone";
  EXPECT_EQ(engine->revision(), 300);
  EXPECT_TRUE(fs::exists(kept));
}

TEST_F(StoreCopyTest, WritesGoOnMeanwhile) {
  fill(600);
  std::optional<std::string> error;
  const auto ticket = engine->copy_to(copy(), [&](const std::string& why) { error = why; });
  int written = 0;
  while (!error) {
    EXPECT_EQ(put("/vm/a/" + std::to_string(written % 600), "new").code, OutcomeCode::kDone);
    ++written;
  }
  EXPECT_EQ(*error, "");
  EXPECT_GT(written, 2) << "no write waits for the whole copy";
  engine.reset();
  EXPECT_EQ(restored(), "");
  open();
  EXPECT_EQ(engine->stats().keys, 600u);
  EXPECT_GE(engine->revision(), 600);
  EXPECT_LE(engine->revision(), 600 + written);
}

TEST_F(StoreCopyTest, OneThatIsGivenUpLeavesNothing) {
  fill(300);
  {
    const auto ticket = engine->copy_to(copy(), [](const std::string&) { ADD_FAILURE() << "nobody waits for it"; });
    engine->process();
  }
  EXPECT_EQ(copied(), "") << "the next one waits for its end";
  EXPECT_TRUE(fs::exists(copy()));
  fs::remove(copy());
  {
    const auto ticket = engine->copy_to(copy(), [](const std::string&) {});
  }
  settle(*engine);
  engine.reset();
  EXPECT_FALSE(fs::exists(copy()));
}

TEST_F(StoreCopyTest, SaysWhyThereIsNone) {
  fs::create_directories(copy() + "/x");
  EXPECT_THAT(copied(), HasSubstr("create "));
  EXPECT_EQ(put("/vm/a/x", "1").code, OutcomeCode::kDone);
}

TEST_F(StoreCopyTest, NothingIsRestoredWhileTheStoreIsInUse) {
  fill(3);
  EXPECT_EQ(copied(), "");
  EXPECT_THAT(restored(), HasSubstr("another process has the store"));
  EXPECT_EQ(put("/vm/a/x", "1").code, OutcomeCode::kDone);
  for (const auto& name : files()) EXPECT_THAT(name, testing::Not(HasSubstr("before"))) << name;
  EXPECT_FALSE(fs::exists(store() + ".restore"));
}

TEST_F(StoreCopyTest, ABadCopyIsRefusedAndNothingChanges) {
  fill(30);
  EXPECT_EQ(copied(), "");
  engine.reset();
  const auto good = test::contents_of(copy());
  const auto before = test::contents_of(store());
  const auto refuse = [&](const std::string& bytes, const std::string& why) {
    std::ofstream(copy(), std::ios::binary | std::ios::trunc) << bytes;
    EXPECT_THAT(restored(), testing::AllOf(HasSubstr("the copy is no store that can be used: "), HasSubstr(why),
                                           HasSubstr("the store is as it was")));
    EXPECT_EQ(test::contents_of(store()), before);
    EXPECT_FALSE(fs::exists(store() + ".restore"));
  };
  refuse("", "it is empty");
  refuse("no database at all, but some text", "it is no SQLite database");
  refuse(good.substr(0, good.size() - 4096), "");
  refuse(good.substr(0, good.size() - 100), "middle of a page");
  auto other = good;
  other.replace(68, 4, "XXXX");  // application_id
  refuse(other, "another application");
  auto newer = good;
  newer[63] = 99;  // user_version
  refuse(newer, "schema version 99");
  auto damaged = good;
  damaged.replace(3 * 4096, 4096, std::string(4096, '\x55'));
  refuse(damaged, "");
  std::ofstream(copy(), std::ios::binary | std::ios::trunc) << good;
  EXPECT_EQ(restored(), "");
}

// This is what restoring is for.
TEST_F(StoreCopyTest, ADamagedStoreIsReplacedAndKeptWithItsLog) {
  fill(3);
  EXPECT_EQ(copied(), "");
  engine.reset();
  std::ofstream(store(), std::ios::binary | std::ios::trunc) << "damaged";
  std::ofstream(store() + "-wal") << "its log";
  EXPECT_EQ(restored(), "");
  EXPECT_EQ(test::contents_of(kept), "damaged");
  EXPECT_EQ(test::contents_of(kept + "-wal"), "its log");
  EXPECT_FALSE(fs::exists(store() + "-wal"));
  open();
  EXPECT_EQ(engine->stats().keys, 3u);
}

TEST_F(StoreCopyTest, WhereThereIsNoStoreNothingIsKept) {
  fill(3);
  EXPECT_EQ(copied(), "");
  engine.reset();
  fs::remove(store());
  EXPECT_EQ(restored(), "");
  EXPECT_EQ(kept, "");
  open();
  EXPECT_EQ(engine->stats().keys, 3u);
}

}  // namespace
}  // namespace hostcall::daemon::store
