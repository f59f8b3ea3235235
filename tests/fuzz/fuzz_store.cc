// Fuzzes the store's engine, with its database, against PlainStore: transactions, the ends of sessions and boots,
// purges and restarts have the same outcomes and leave the same keys, revisions and charges; and a watch that follows
// them, with a history too short for it, arrives at the same state.
//
// Input: one byte for the history's size, then commands; see Script::step.
#include <deque>
#include <memory>
#include <set>

#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/plain_store.h"
#include "tests/support/run_engine.h"
#include "tests/support/temp_dir.h"

namespace hostcall::fuzz {
namespace {

using std::string;
using store::Operation;
using store::Transaction;

const string kKeys[] = {"/vm/a/1",   "/vm/a/2",     "/vm/a/x/1", "/vm/b/1", "/vm/ab/1", "/shared/1",
                        "/shared/2", "/shared/x/1", "/nowhere",  "/vm/",    ""};
constexpr const char* kPrefixes[] = {"/", "/vm/a/", "/vm/", "/shared/", "/shared/x/", "/vm/a/1"};
constexpr const char* kVms[] = {"a", "b", "ab"};
constexpr const char* kSessions[] = {"s1", "s2", ""};
constexpr const char* kBoots[] = {"b1", "b2"};

// Follows the store's changes from a snapshot on.
class Reader final : public store::Watcher {
 public:
  explicit Reader(string prefix) : prefix_(std::move(prefix)) {}

  void on_ready() override {}
  bool keep(std::size_t bytes) override { return bytes < kKept; }

  // Takes up to `most` deliveries. False: there is nothing more.
  bool read(store::Engine& engine, int most) {
    for (; most > 0; --most) {
      if (watch_ == nullptr) begin(engine);
      const auto delivery = watch_->next(kPart);
      using Kind = store::Delivery::Kind;
      if (delivery.kind == Kind::kNothing) return false;
      if (delivery.kind == Kind::kCompacted || delivery.kind == Kind::kOverrun) {
        watch_.reset();
        continue;
      }
      for (const auto& item : delivery.items) values_[string(item->key())] = item->value();
      for (const auto& event : delivery.events) take(*event.now);
      watch_->taken();
    }
    return true;
  }
  void check(const PlainStore& expected) const {
    std::map<string, string> covered;
    for (const auto& [key, item] : expected.items())
      if (store::covers(prefix_, key)) covered[key] = item.value;
    require(values_ == covered, "a watch arrives at what there is");
  }
  void end() { watch_.reset(); }

 private:
  static constexpr std::size_t kPart = 100;
  static constexpr std::size_t kKept = 2'000;

  void begin(store::Engine& engine) {
    values_.clear();
    watch_ = engine.watch({.prefix = prefix_, .snapshot = true}, *this);
  }
  void take(const store::Record& record) {
    if (record.deleted())
      values_.erase(string(record.key()));
    else
      values_[string(record.key())] = record.value();
  }

  const string prefix_;
  std::unique_ptr<store::Watch> watch_;
  std::map<string, string> values_;
};

Operation operation_of(Choices& choices) {
  constexpr std::size_t kTooMuch = 600 * 1024;
  constexpr Operation::Kind kKinds[] = {Operation::Kind::kPut, Operation::Kind::kGet, Operation::Kind::kDelete};
  Operation made{.kind = choices.of(kKinds), .key = choices.of(kKeys)};
  if (made.kind != Operation::Kind::kPut) return made;
  made.lifetime = static_cast<store::Lifetime>(choices.byte() % 3);
  const auto size = choices.byte();
  made.value = string(size == 0xFF ? kTooMuch : size, static_cast<char>('a' + size % 26));
  return made;
}

std::vector<Operation> operations_of(Choices& choices) {
  std::vector<Operation> made;
  const auto count = choices.byte();
  if (count == 0xFF) return std::vector<Operation>(129, operation_of(choices));
  for (int i = 0; i < count % 5; ++i) made.push_back(operation_of(choices));
  return made;
}

store::Compare compare_of(Choices& choices) {
  store::Compare made{.key = choices.of(kKeys),
                      .relation = static_cast<store::Relation>(choices.byte() % 4),
                      .target = static_cast<store::Compare::Target>(choices.byte() % 4)};
  if (made.target == store::Compare::Target::kValue)
    made.value = choices.text();
  else
    made.number = static_cast<std::int64_t>(choices.number());
  return made;
}

store::Idempotency idempotency_of(Choices& choices, const string& writer) {
  static const string kIdempotencyKeys[] = {"k1", "k2", "", string(64, 'k'), string(65, 'k')};
  static const string kFingerprints[] = {"f1", "f2", "", string(64, 'f'), string(65, 'f')};
  return {.owner = writer.empty() ? "(host)" : writer,
          .key = choices.of(kIdempotencyKeys),
          .fingerprint = choices.of(kFingerprints),
          .encode = [](const store::Outcome& outcome) {
            return std::to_string(outcome.revision) + (outcome.succeeded ? " yes" : " no");
          }};
}

Transaction transaction_of(Choices& choices) {
  Transaction made;
  const auto form = choices.byte();
  if ((form & 1) != 0) made.writer = choices.of(kVms);
  if ((form & 2) != 0 && !made.writer.empty()) made.boot_holder = store::boot_holder(made.writer, choices.of(kBoots));
  made.session_holder = choices.of(kSessions);
  if ((form & 4) != 0) made.limits = {.keys = choices.byte() % 8u, .bytes = choices.byte() * 4u};
  if ((form & 8) != 0) made.idempotency = idempotency_of(choices, made.writer);
  if ((form & 0xF0) == 0xF0) made.accept = [](const store::Outcome&) { return false; };
  for (int left = choices.byte() % 3; left > 0; --left) made.compare.push_back(compare_of(choices));
  made.then = operations_of(choices);
  if ((form & 16) != 0) made.otherwise = operations_of(choices);
  return made;
}

class Script {
 public:
  explicit Script(Choices& choices) : choices_(choices), history_{history_of(choices.byte())} { open(); }

  void step() {
    const auto command = choices_.byte();
    switch (command % 16) {
      case 9: return end_session(choices_.of(kSessions));
      case 10: return end_boots(choices_.of(kVms));
      case 11: return purge(choices_.of(kVms));
      case 12: return open();
      case 13: return begin_watch(choices_.of(kPrefixes));
      case 14: return (void)reader_->read(*engine_, choices_.byte() % 16);
      case 15: return settle();
      default: submit(transaction_of(choices_));
    }
  }
  // Lets everything be committed, and compares.
  void settle() {
    require(store::run_until(*engine_, [&] { return engine_->stats().queue == 0; }), "the store commits");
    require(waiting_.empty(), "each transaction is answered");
    PlainStore::Items items;
    std::uint64_t bytes = 0;
    engine_->scan("/", {}, [&](const store::Ref& record) {
      items.emplace(record->key(), *plain(record));
      bytes += record->bytes();
      return true;
    });
    require(items == plain_.items(), "the same keys");
    require(engine_->revision() == plain_.revision(), "the same revision");
    require(engine_->stats().keys == items.size() && engine_->stats().bytes == bytes, "all are counted");
    for (const string owner : {"", "a", "b", "ab"})
      require(engine_->usage(owner) == plain_.usage(owner), "the same charges");
    while (reader_->read(*engine_, 100)) {
    }
    reader_->check(plain_);
    require(owner_.told.empty(), "the disk is sound");
  }

 private:
  static store::HistoryLimits history_of(std::uint8_t choice) { return {.bytes = choice * 64u, .share = choice * 8u}; }

  // Also again: a restart.
  void open() {
    if (engine_ != nullptr) settle();
    reader_->end();
    engine_.reset();
    engine_ = std::make_unique<store::LocalEngine>(
        store::StoreOptions{.path = directory_ / "store.db", .history = history_}, owner_);
    plain_.end_sessions();
  }
  void submit(Transaction transaction) {
    const auto expected = plain_.run(transaction);
    const auto number = next_++;
    waiting_.insert(number);
    auto on_outcome = [this, expected, number](const store::Outcome& outcome) {
      require(waiting_.erase(number) == 1, "a transaction is answered once");
      require(plain(outcome) == expected, "the same outcome");
    };
    tickets_.push_back(engine_->submit(std::move(transaction), on_outcome));
  }
  void end_session(const string& holder) {
    if (holder.empty()) return;
    engine_->end_session(holder);
    plain_.end_session(holder);
  }
  void end_boots(const string& vm) {
    const string current = choices_.of(kBoots);
    engine_->end_boots(vm, current);
    plain_.end_boots(vm, current);
  }
  void purge(const string& vm) {
    const auto number = next_++;
    waiting_.insert(number);
    engine_->purge(vm, [this, number](store::OutcomeCode code) {
      require(waiting_.erase(number) == 1 && code == store::OutcomeCode::kDone, "a purge ends once");
    });
    plain_.purge(vm);
  }
  void begin_watch(const string& prefix) { reader_ = std::make_unique<Reader>(prefix); }

  Choices& choices_;
  const store::HistoryLimits history_;
  const test::TempDir directory_;
  store::OwnerLog owner_;
  PlainStore plain_;
  std::set<int> waiting_;  // numbers of what is not answered
  int next_ = 0;
  std::unique_ptr<store::LocalEngine> engine_;
  std::vector<std::unique_ptr<store::Ticket>> tickets_;
  std::unique_ptr<Reader> reader_ = std::make_unique<Reader>("/");
};

}  // namespace
}  // namespace hostcall::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  return hostcall::fuzz::play(bytes, size, &hostcall::fuzz::Script::settle);
}
