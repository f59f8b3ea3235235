// Watches against a plain replay: readers of random speed follow random changes through a short history. At each
// revision that they are told of, the state they have assembled must equal the store's state at that revision.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <utility>

#include "daemon/store/watch_hub.h"
#include "tests/support/seed.h"
#include "tests/unit/daemon/store/records.h"

namespace hostcall::daemon::store {
namespace {

using Items = std::map<std::string, std::string>;

void apply(Items& items, const Event& event) {
  if (event.now->deleted())
    items.erase(std::string(event.now->key()));
  else
    items[std::string(event.now->key())] = event.now->value();
}

class Reader final : public Watcher {
 public:
  Reader(WatchHub& hub, std::string prefix, const std::vector<Event>& log)
      : hub_(hub), prefix_(std::move(prefix)), log_(log) {
    begin();
  }
  void on_ready() override {
    EXPECT_TRUE(std::exchange(knows_nothing_, false)) << "it is called only after it was told that there is nothing";
  }

  bool keep(std::size_t) override { return true; }

  // Takes one delivery, or none. False: the reader knows that there is nothing.
  bool step(std::size_t max_bytes, bool take) {
    const bool expects_nothing = knows_nothing_;
    const auto delivery = watch_->next(max_bytes);
    ++kinds[delivery.kind];
    EXPECT_TRUE(!expects_nothing || delivery.kind == Delivery::Kind::kNothing) << "on_ready() did not come";
    if (delivery.kind == Delivery::Kind::kCompacted) {
      begin();
      return true;
    }
    if (delivery.kind == Delivery::Kind::kNothing) {
      check(delivery.revision);
      knows_nothing_ = true;
      return false;
    }
    if (delivery.kind == Delivery::Kind::kLooking || !take) return true;
    for (const auto& item : delivery.items) items_[std::string(item->key())] = item->value();
    for (const auto& event : delivery.events) apply(items_, event);
    watch_->taken();
    if (delivery.revision != 0) check(delivery.revision);
    return true;
  }

  // Goes on with another watch at the same place, as after a restart.
  void move() {
    const auto place = watch_->place();
    if (!place) return;
    auto next = hub_.watch({.prefix = prefix_, .place = place}, *this);
    ASSERT_NE(next, nullptr);
    watch_ = std::move(next);
    knows_nothing_ = false;
    ++moves;
  }

  std::map<Delivery::Kind, int> kinds;
  int moves = 0;

 private:
  void begin() {
    items_.clear();
    watch_ = hub_.watch({.prefix = prefix_, .snapshot = true}, *this);
  }
  void check(Revision revision) {
    ASSERT_GE(revision, checked_) << "revisions never go back";
    checked_ = revision;
    for (; at_ < log_.size() && log_[at_].revision() <= revision; ++at_)
      if (covers(prefix_, log_[at_].now->key())) apply(reference_, log_[at_]);
    ASSERT_EQ(items_, reference_) << prefix_ << " at " << revision;
  }

  WatchHub& hub_;
  const std::string prefix_;
  const std::vector<Event>& log_;
  std::unique_ptr<Watch> watch_;
  Items items_;
  Items reference_;
  std::size_t at_ = 0;
  Revision checked_ = 0;
  bool knows_nothing_ = false;
};

class RandomChanges {
 public:
  explicit RandomChanges(std::mt19937& random) : random_(random) {}
  Transaction next() {
    std::map<std::string, Operation> operations;
    for (auto left = 1 + random_() % 3; left > 0; --left) {
      const auto key = space() + std::to_string(random_() % 6);
      operations[key] = random_() % 3 == 0 ? delete_of(key) : put_of(key, std::to_string(++count_));
    }
    Transaction transaction;
    for (auto& [key, operation] : operations) transaction.then.push_back(std::move(operation));
    return transaction;
  }

 private:
  std::string space() {
    constexpr const char* kSpaces[] = {"/shared/", "/vm/a/", "/vm/a/x/", "/vm/b/"};
    return kSpaces[random_() % std::size(kSpaces)];
  }
  std::mt19937& random_;
  long count_ = 0;
};

using Readers = std::vector<std::unique_ptr<Reader>>;

// Whether the readers have had each kind of delivery more than once.
bool all_ways_were_gone(const Readers& readers) {
  std::map<Delivery::Kind, int> kinds;
  for (const auto& reader : readers)
    for (const auto& [kind, count] : reader->kinds) kinds[kind] += count;
  const auto kAll = {Delivery::Kind::kNothing, Delivery::Kind::kSnapshot, Delivery::Kind::kEvents,
                     Delivery::Kind::kCoalesced, Delivery::Kind::kCompacted};
  return std::ranges::all_of(kAll, [&](Delivery::Kind kind) { return kinds[kind] > 20; });
}

TEST(WatchRandom, FollowsWhatTheStoreHad) {
  std::mt19937 random(test::seed(18499));
  Model model{room_for_events(4000)};
  std::vector<Event> log;
  WatchHub hub(model);
  Readers readers;
  for (const auto* prefix : {"/", "/vm/", "/shared/", "/vm/a/", "/vm/a/x/", "/vm/a/3", "/vm/b/", "/"})
    readers.push_back(std::make_unique<Reader>(hub, prefix, log));
  RandomChanges changes(random);
  for (int round = 0; round < 300 || !all_ways_were_gone(readers); ++round) {
    ASSERT_LT(round, 3000);
    for (auto left = random() % 20 == 0 ? 2500 : random() % 100; left > 0; --left) {
      const auto before = model.revision();
      const auto first = model.history().end();
      commit(model, changes.next());
      if (model.revision() == before) continue;
      model.history().scan({}, first, [&](History::Position, const History::Entry& entry) {
        log.push_back(entry.event);
        return true;
      });
      hub.offer(first);
      model.trim_history();
    }
    hub.notify();
    for (auto& reader : readers)
      for (auto steps = random() % 60; steps > 0; --steps)
        if (!reader->step(1 + random() % 200, random() % 8 != 0))
          break;
        else if (random() % 8 == 0)
          reader->move();
    if (testing::Test::HasFatalFailure()) return;
  }
  for (auto& reader : readers) {
    while (reader->step(1000, true)) reader->move();
    EXPECT_GT(reader->moves, 100);
  }
}

}  // namespace
}  // namespace hostcall::daemon::store
