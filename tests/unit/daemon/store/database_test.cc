// The database on disk: new files, every kind of damage, versions. A damaged store must never start as an empty one.
#include "daemon/store/database.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "daemon/store/schema.h"
#include "tests/support/contents.h"
#include "tests/support/temp_dir.h"
#include "tests/unit/daemon/store/records.h"

namespace hostcall::daemon::store {
namespace {

class DatabaseTest : public testing::Test {
 protected:
  // The error of opening and loading; empty if both succeed.
  std::string refusal() {
    try {
      Database database(path, "FULL");
      Model model{HistoryLimits{}};
      database.load(model);
      return {};
    } catch (const std::runtime_error& error) {
      return error.what();
    }
  }
  // Expects a refusal with this reason and with advice, and an untouched file.
  void expect_damage(const std::string& reason) {
    const auto before = content();
    const auto text = refusal();
    EXPECT_TRUE(text.starts_with("the store " + path + " is damaged: ")) << text;
    EXPECT_NE(text.find(reason), std::string::npos) << text;
    EXPECT_NE(text.find("restore " + path + " and " + path + "-wal from a copy, or move both away"), std::string::npos)
        << text;
    EXPECT_TRUE(content() == before) << "it must be left as it is for whoever repairs it";
  }
  // Creates a store with a thousand keys, and closes it.
  void fill() {
    Database database(path, "OFF");
    Model model{HistoryLimits{}};
    database.load(model);
    auto draft = Draft::on(model);
    for (int i = 0; i < 1000; ++i) {
      auto one = Draft::on(draft);
      ASSERT_EQ(evaluate(of_vm_a({put_of("/vm/a/" + std::to_string(i), std::string(100, 'x'))}), one).code,
                OutcomeCode::kDone);
      draft.absorb(one);
    }
    Batch batch;
    batch.events = draft.events();
    batch.revision = draft.revision();
    batch.keys = 1000;
    ASSERT_EQ(database.write(batch).kind, WriteResult::Kind::kCommitted);
  }
  void sql(const std::string& text) {
    SqliteHandle connection(path);
    connection.run(text);
  }
  std::string content() const { return test::contents_of(path); }

  test::TempDir dir;
  const std::string path = dir / "store.db";
};

TEST_F(DatabaseTest, ANewOneIsMadeAndOpenedAgain) {
  EXPECT_EQ(refusal(), "");
  EXPECT_FALSE(std::filesystem::exists(path + ".new"));
  struct stat status {};
  ASSERT_EQ(::stat(path.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600u) << "others may not read what guests keep";
  EXPECT_EQ(refusal(), "");
}

TEST_F(DatabaseTest, AnUnfinishedNewOneIsMadeAgain) {
  dir.write("store.db.new", "half a database");
  dir.write("store.db.new-journal", "and its journal");
  EXPECT_EQ(refusal(), "");
}

TEST_F(DatabaseTest, KeepsWhatItHas) {
  fill();
  Database database(path, "FULL");
  Model model{HistoryLimits{}};
  database.load(model);
  EXPECT_EQ(model.index().size(), 1000u);
  EXPECT_EQ(model.history().size(), 1000u);
  const auto& fifth = model.history().at(History::position_of(5)).event.now;
  EXPECT_EQ(fifth, model.find(fifth->key())) << "the record that is current is not held twice";
}

TEST_F(DatabaseTest, AnEmptyFile) {
  dir.write("store.db", "");
  expect_damage("it is empty");
}

TEST_F(DatabaseTest, NoDatabase) {
  dir.write("store.db", std::string(8192, 'x'));
  expect_damage("it is no SQLite database");
  dir.write("store.db", "SQLite");
  expect_damage("it is no SQLite database");
  dir.write("store.db", std::string("SQLite format 3\0\x10\0", 18) + std::string(8174, 'x'));
  expect_damage("file is not a database");
}

TEST_F(DatabaseTest, MissingBesideItsLog) {
  dir.write("store.db-wal", "");
  EXPECT_NE(refusal().find("it is missing, but its write-ahead log is there"), std::string::npos);
  EXPECT_FALSE(std::filesystem::exists(path));
}

TEST_F(DatabaseTest, OfAnotherApplication) {
  { std::ofstream file(path); }
  sql("CREATE TABLE kv (key); PRAGMA user_version=1");
  expect_damage("it is a database of another application");
}

TEST_F(DatabaseTest, WithoutASchema) {
  { std::ofstream file(path); }
  sql("PRAGMA application_id=" + std::to_string(kApplicationId));
  expect_damage("it has no schema version");
}

TEST_F(DatabaseTest, TruncatedAnywhere) {
  fill();
  const auto whole = content();
  ASSERT_GT(whole.size(), 100'000u);
  for (const std::size_t size : {std::size_t{16}, std::size_t{100}, std::size_t{4096}, std::size_t{5000},
                                 whole.size() / 2, whole.size() - 4096, whole.size() - 1}) {
    std::ofstream(path, std::ios::binary | std::ios::trunc) << whole.substr(0, size);
    SCOPED_TRACE(size);
    expect_damage("");
    std::filesystem::remove(path + "-wal");
  }
}

TEST_F(DatabaseTest, OverwrittenPages) {
  fill();
  const auto whole = content();
  int refused = 0;
  int pages = 0;
  for (std::size_t page = 1; (page + 1) * 4096 <= whole.size(); page += 7, ++pages) {
    auto damaged = whole;
    damaged.replace(page * 4096, 4096, std::string(4096, '\x5A'));
    std::ofstream(path, std::ios::binary | std::ios::trunc) << damaged;
    if (refusal().find("is damaged") != std::string::npos) ++refused;
    std::filesystem::remove(path + "-wal");
  }
  EXPECT_EQ(refused, pages) << "each page matters";
  EXPECT_GT(pages, 5);
}

TEST_F(DatabaseTest, LostRows) {
  fill();
  sql("DELETE FROM kv WHERE key = CAST('/vm/a/7' AS BLOB)");
  EXPECT_NE(refusal().find("it has 999 keys, but should have 1000"), std::string::npos);
}

TEST_F(DatabaseTest, KeysThatCanNotBe) {
  fill();
  sql("UPDATE kv SET key = CAST('/other' AS BLOB) WHERE key = CAST('/vm/a/7' AS BLOB)");
  EXPECT_NE(refusal().find("a key is in no namespace"), std::string::npos);
}

TEST_F(DatabaseTest, ARevisionThatWentBack) {
  fill();
  sql("UPDATE meta SET revision = 999");
  EXPECT_NE(refusal().find("a key is newer than the store's revision"), std::string::npos);
}

TEST_F(DatabaseTest, LostTables) {
  fill();
  sql("DROP TABLE kv");
  EXPECT_NE(refusal().find("no such table"), std::string::npos);
}

TEST_F(DatabaseTest, ANewerVersionIsRefused) {
  fill();
  sql("PRAGMA user_version=99");
  const auto text = refusal();
  EXPECT_EQ(text, "the store " + path + " has schema version 99, but this hostcalld knows only those up to " +
                      std::to_string(schema_steps().size()) +
                      "; install the version of hostcall that wrote it, or a newer one");
}

TEST_F(DatabaseTest, ADirectoryThatIsMissing) {
  try {
    Database database(dir / "none/store.db", "FULL");
    FAIL();
  } catch (const std::runtime_error& error) {
    EXPECT_NE(std::string(error.what()).find("can't create the store"), std::string::npos) << error.what();
  }
}

TEST_F(DatabaseTest, OlderVersionsAreMigratedStepByStep) {
  { std::ofstream file(path); }
  const char* const kSteps[] = {"CREATE TABLE t (a INTEGER); INSERT INTO t VALUES (1)",
                                "ALTER TABLE t ADD COLUMN b INTEGER DEFAULT 2", "UPDATE t SET b = b + a"};
  SqliteHandle connection(path);
  migrate(connection, SchemaSteps(kSteps).first(1));
  EXPECT_EQ(connection.integer("PRAGMA user_version"), 1);
  migrate(connection, kSteps);
  EXPECT_EQ(connection.integer("PRAGMA user_version"), 3);
  EXPECT_EQ(connection.integer("SELECT b FROM t"), 3);
  migrate(connection, kSteps);
  EXPECT_EQ(connection.integer("SELECT b FROM t"), 3) << "each step once";
}

// Until then, all namespaces were compacted together.
TEST_F(DatabaseTest, AStoreOfVersionOneKeepsItsHistory) {
  { std::ofstream file(path); }
  {
    SqliteHandle connection(path);
    connection.run("PRAGMA application_id=" + std::to_string(kApplicationId));
    migrate(connection, schema_steps().first(1));
    connection.run(
        "INSERT INTO kv VALUES (CAST('/vm/a/k' AS BLOB), x'31', x'61', x'', 0, 5, 5, 1);"
        "INSERT INTO history VALUES (5 << 8, CAST('/vm/a/k' AS BLOB), x'31', x'61', x'', 0, 5, 1, 0);"
        "UPDATE meta SET revision = 5, compact_revision = 3, keys = 1");
  }
  Database database(path, "FULL");
  Model model{HistoryLimits{}};
  database.load(model);
  EXPECT_EQ(model.revision(), 5);
  EXPECT_EQ(model.history().size(), 1u);
  for (const auto* space : {"", "/vm/a/", "/vm/b/"}) EXPECT_EQ(model.history().compact_revision(space), 3) << space;
}

TEST_F(DatabaseTest, AStepThatFailsChangesNothing) {
  { std::ofstream file(path); }
  const char* const kSteps[] = {"CREATE TABLE t (a INTEGER)", "INSERT INTO t VALUES (1); INSERT INTO none VALUES (1)"};
  {
    SqliteHandle connection(path);
    EXPECT_THROW(migrate(connection, kSteps), SqliteError);
  }
  SqliteHandle connection(path);
  EXPECT_EQ(connection.integer("PRAGMA user_version"), 1);
  EXPECT_EQ(connection.integer("SELECT count(*) FROM t"), 0);
}

}  // namespace
}  // namespace hostcall::daemon::store
