// What a sweep of the engine takes: all that was written before it was asked for and nothing later, however long it
// takes and however often it waits for room on the disk.
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/unit/daemon/store/engine_fixture.h"
#include "tests/unit/daemon/store/starved.h"

namespace hostcall::daemon::store {
namespace {

class SweepBoundsTest : public EngineTest {
 protected:
  static constexpr int kMany = 900;  // more than a commit of a sweep takes

  static Transaction put_by(const std::string& boot, const std::string& session, const std::string& key,
                            Lifetime lifetime) {
    auto transaction = of_vm_a({put_of(key, "v", lifetime)});
    transaction.boot_holder = boot_holder("a", boot);
    transaction.session_holder = session;
    return transaction;
  }
  void put_many(Lifetime lifetime) {
    std::vector<std::unique_ptr<Ticket>> tickets;
    for (int i = 0; i < kMany; ++i)
      tickets.push_back(engine->submit(put_by("b1", "s1", "/vm/a/k" + std::to_string(i), lifetime), {}));
    settle(*engine);
    ASSERT_EQ(engine->stats().keys, kMany);
  }
  // Writes a key, behind what is in the queue, and expects that it alone is left. On a disk that was full, this write
  // is what the sweeps have waited for. Returns how much waited at a time.
  std::size_t expect_only_later_write_stays(Transaction later) {
    const auto key = later.then[0].key;
    auto code = OutcomeCode::kInvalid;
    std::size_t most = 0;
    const auto ticket = engine->submit(std::move(later), [&](const Outcome& outcome) { code = outcome.code; });
    EXPECT_TRUE(run_until(*engine, [&] {
      most = std::max<std::size_t>(most, engine->stats().queue);
      return engine->stats().queue == 0;
    }));
    EXPECT_EQ(code, OutcomeCode::kDone);
    EXPECT_NE(engine->get(key), nullptr);
    EXPECT_EQ(engine->stats().keys, 1u);
    return most;
  }
};

TEST_F(SweepBoundsTest, TwoBootsInARow) {
  put_many(Lifetime::kBoot);
  engine->end_boots("a", "b2");
  engine->end_boots("a", "b3");
  expect_only_later_write_stays(put_by("b3", "s2", "/vm/a/z", Lifetime::kBoot));
}

// A guest may say so as often as it likes while a commit takes its time.
TEST_F(SweepBoundsTest, ManyBootsInARowAreNoMoreThanTwo) {
  put_many(Lifetime::kBoot);
  const auto in_flight = engine->submit(put_by("b1", "s1", "/vm/a/first", Lifetime::kBoot), {});
  engine->process();
  for (int boot = 0; boot < 50; ++boot) {
    engine->end_boots("a", "b" + std::to_string(boot % 7));
    engine->end_boots("other", "b");
  }
  EXPECT_EQ(engine->stats().queue, 1u + 2 + 1);
  expect_only_later_write_stays(put_by("b0", "s2", "/vm/a/z", Lifetime::kBoot));
}

TEST_F(SweepBoundsTest, TheSameBootAgainAndAgainIsOne) {
  put_many(Lifetime::kBoot);
  const auto in_flight = engine->submit(put_by("b1", "s1", "/vm/a/first", Lifetime::kBoot), {});
  engine->process();
  for (int i = 0; i < 50; ++i) engine->end_boots("a", "b2");
  EXPECT_EQ(engine->stats().queue, 1u + 1);
  settle(*engine);
  EXPECT_EQ(engine->stats().keys, 0u);
}

// What one boot leaves to the next is decided at the place of its end in the queue.
TEST_F(SweepBoundsTest, AWriteBetweenTwoBootsSeesTheFirst) {
  put_many(Lifetime::kBoot);
  std::vector<std::unique_ptr<Ticket>> tickets;
  int created = 0;
  for (const auto* boot : {"b2", "b3", "b4"}) {
    engine->end_boots("a", boot);
    auto create = put_by(boot, "s1", "/vm/a/k0", Lifetime::kBoot);
    create.compare = {{.key = "/vm/a/k0", .relation = Relation::kEqual}};
    tickets.push_back(engine->submit(create, [&](const Outcome& outcome) { created += outcome.succeeded; }));
  }
  settle(*engine);
  EXPECT_EQ(created, 3);
  EXPECT_EQ(engine->stats().keys, 1u);
}

TEST_F(SweepBoundsTest, APurgedVmThatIsAddedAgain) {
  put_many(Lifetime::kPersistent);
  engine->purge("a", nullptr);
  expect_only_later_write_stays(put_by("b1", "s2", "/vm/a/z", Lifetime::kPersistent));
}

TEST_F(SweepBoundsTest, APurgeAndAKeyThatIsThereStill) {
  put_many(Lifetime::kPersistent);
  engine->purge("a", nullptr);
  expect_only_later_write_stays(put_by("b1", "s2", "/vm/a/k99", Lifetime::kPersistent));
}

// Of a purge that takes several commits.
class PurgedAnswersTest : public SweepBoundsTest {
 protected:
  static Transaction once(const std::string& idempotency_key, const std::string& key) {
    auto transaction = put_by("b1", "s1", key, Lifetime::kPersistent);
    transaction.idempotency = {
        .owner = "a", .key = idempotency_key, .fingerprint = "same", .encode = [](const Outcome&) {
          return std::string("answer");
        }};
    return transaction;
  }
  // Submits it, and runs the engine only until it is answered.
  Outcome write_once(const std::string& idempotency_key, const std::string& key) {
    return write(*engine, once(idempotency_key, key));
  }
  std::size_t keys() { return engine->stats().keys; }
};

TEST_F(PurgedAnswersTest, AnEarlierOneIsNotRepeatedWhileItsKeysGo) {
  ASSERT_FALSE(write_once("k", "/vm/a/before").replayed);
  for (int i = 1; i < kMany; ++i) ASSERT_EQ(put("/vm/a/k" + std::to_string(i), "").code, OutcomeCode::kDone);
  engine->purge("a", nullptr);
  EXPECT_FALSE(write_once("k", "/vm/a/z").replayed) << "in the purge's first commit";
  ASSERT_GT(keys(), 1u) << "the purge goes on";
  EXPECT_TRUE(write_once("k", "/vm/a/z").replayed);
  settle(*engine);
  EXPECT_EQ(keys(), 1u);
}

TEST_F(PurgedAnswersTest, ALaterOneStays) {
  put_many(Lifetime::kPersistent);
  engine->purge("a", nullptr);
  ASSERT_FALSE(write_once("k", "/vm/a/z").replayed);
  ASSERT_GT(keys(), 1u) << "the purge goes on";
  settle(*engine);
  EXPECT_TRUE(write_once("k", "/vm/a/z").replayed);
  open();
  EXPECT_TRUE(write_once("k", "/vm/a/z").replayed) << "on the disk too";
}

// The write that fails has the number that the later answer gets.
TEST_F(PurgedAnswersTest, OnAFullDisk) {
  put_many(Lifetime::kPersistent);
  {
    const FullDisk full;
    const auto lost = engine->submit(once("lost", "/vm/a/lost"), {});
    engine->purge("a", nullptr);
    settle(*engine);
    ASSERT_EQ(keys(), kMany);
  }
  ASSERT_FALSE(write_once("k", "/vm/a/z").replayed);
  ASSERT_TRUE(run_until(*engine, [&] { return keys() == 1; }));
  settle(*engine);
  EXPECT_TRUE(write_once("k", "/vm/a/z").replayed);
}

TEST_F(SweepBoundsTest, ASession) {
  put_many(Lifetime::kSession);
  engine->end_session("s1");
  expect_only_later_write_stays(put_by("b1", "s1", "/vm/a/z", Lifetime::kSession));
}

TEST_F(SweepBoundsTest, TakesWhatWaitsBeforeIt) {
  put_many(Lifetime::kSession);
  const auto before = engine->submit(put_by("b1", "s1", "/vm/a/before", Lifetime::kSession), {});
  engine->end_session("s1");
  expect_only_later_write_stays(put_by("b1", "s1", "/vm/a/z", Lifetime::kSession));
}

// The numbers of sessions begin again with each start.
TEST_F(SweepBoundsTest, SessionsOfAStartOnAFullDisk) {
  put_many(Lifetime::kSession);
  {
    const FullDisk full;
    open();
    ASSERT_EQ(engine->stats().keys, kMany);
  }
  expect_only_later_write_stays(put_by("b1", "s1", "/vm/a/z", Lifetime::kSession));
}

// The write that fails has the revision that the later one gets.
TEST_F(SweepBoundsTest, ASessionOnAFullDisk) {
  put_many(Lifetime::kSession);
  {
    const FullDisk full;
    const auto lost = engine->submit(put_by("b1", "s1", "/vm/a/lost", Lifetime::kSession), {});
    engine->end_session("s1");
    settle(*engine);
    ASSERT_EQ(engine->stats().keys, kMany);
  }
  expect_only_later_write_stays(put_by("b1", "s1", "/vm/a/z", Lifetime::kSession));
}

TEST_F(SweepBoundsTest, BootsOnAFullDiskDoNotPileUp) {
  put_many(Lifetime::kBoot);
  {
    const FullDisk full;
    for (int i = 2; i <= 100; ++i) {
      engine->end_boots("a", "b" + std::to_string(i));
      settle(*engine);
    }
    ASSERT_EQ(engine->stats().keys, kMany);
  }
  const auto most = expect_only_later_write_stays(put_by("b100", "s2", "/vm/a/z", Lifetime::kBoot));
  EXPECT_LE(most, 3u) << "two sweeps and the write";
}

// Two boots that take turns end each other's keys, as they do while there is room.
TEST_F(SweepBoundsTest, BootsOnAFullDiskEndWhatEachOfThemEnds) {
  put_many(Lifetime::kBoot);
  ASSERT_EQ(write(*engine, put_by("b2", "s1", "/vm/a/b2", Lifetime::kBoot)).code, OutcomeCode::kDone);
  {
    const FullDisk full;
    for (const auto* boot : {"b1", "b2", "b3", "b1", "b2"}) {
      engine->end_boots("a", boot);
      settle(*engine);
    }
    ASSERT_EQ(engine->stats().keys, kMany + 1);
  }
  expect_only_later_write_stays(put_by("b2", "s2", "/vm/a/z", Lifetime::kBoot));
}

TEST_F(SweepBoundsTest, SessionsOnAFullDiskDoNotPileUp) {
  put_many(Lifetime::kSession);
  {
    const FullDisk full;
    for (int i = 1; i <= 100; ++i) {
      const auto session = "s" + std::to_string(i);
      const auto lost = engine->submit(put_by("b1", session, "/vm/a/lost", Lifetime::kSession), {});
      engine->end_session(session);
      settle(*engine);
    }
    ASSERT_EQ(engine->stats().keys, kMany);
  }
  const auto most = expect_only_later_write_stays(put_by("b1", "s1", "/vm/a/z", Lifetime::kSession));
  EXPECT_LE(most, 2u) << "one sweep and the write: the others would find nothing";
}

}  // namespace
}  // namespace hostcall::daemon::store
