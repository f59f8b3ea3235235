#include "daemon/store/local_engine.h"

#include <poll.h>

#include <cassert>
#include <utility>

#include "daemon/store/batch_maker.h"
#include "daemon/store/evaluate.h"

namespace hostcall::daemon::store {
namespace {

// How long a sweep waits for room on the disk before it tries again.
constexpr seconds kRetry{1};

OutcomeCode verdict_of(WriteResult::Kind kind) {
  return kind == WriteResult::Kind::kFull ? OutcomeCode::kDiskFull : OutcomeCode::kDiskFailed;
}

std::string reason_of(WriteResult::Kind kind) {
  return kind == WriteResult::Kind::kFull ? "the host's disk is full; nothing was written"
                                          : "the host's disk has failed; whether this was written is not known";
}

}  // namespace

// A transaction or a sweep in the queue.
struct LocalEngine::Waiting {
  Transaction transaction;
  OnOutcome on_outcome;
  std::optional<Sweep> sweep;
  bool evaluated = false;
  bool dropped = false;
};

class LocalEngine::LocalTicket final : public Ticket {
 public:
  explicit LocalTicket(std::shared_ptr<Waiting> waiting) : waiting_(std::move(waiting)) {}
  ~LocalTicket() override {
    waiting_->on_outcome = nullptr;
    if (waiting_->evaluated) return;
    waiting_->dropped = true;
    waiting_->transaction = {};
  }

 private:
  const std::shared_ptr<Waiting> waiting_;
};

LocalEngine::LocalEngine(const StoreOptions& options, EngineOwner& owner)
    : owner_(owner), model_(options.history), writer_(open(options, model_)) {
  end_old_sessions();
}

LocalEngine::~LocalEngine() = default;

std::unique_ptr<Database> LocalEngine::open(const StoreOptions& options, Model& model) {
  auto database = std::make_unique<Database>(options.path, options.synchronous);
  database->load(model);
  return database;
}

// Runs before anybody can read, so that nobody sees keys of sessions that are over.
void LocalEngine::end_old_sessions() {
  enqueue_sweep({.kind = Sweep::Kind::kAllSessions});
  while (in_flight_ || !queue_.empty()) {
    pollfd ready{.fd = fd(), .events = POLLIN, .revents = 0};
    ::poll(&ready, 1, -1);
    process();
  }
}

void LocalEngine::scan(std::string_view prefix, std::string_view after, const Visit& visit) const {
  model_.scan(prefix, after, visit);
}

Outcome LocalEngine::read(const Transaction& transaction) const {
  assert(!may_write(transaction));
  auto draft = Draft::on(model_);
  return evaluate(transaction, draft);
}

std::size_t LocalEngine::snapshot_bytes(std::string_view prefix) const {
  std::size_t bytes = 0;
  model_.scan(prefix, {}, [&](const Ref& record) {
    bytes += record->bytes();
    return true;
  });
  return bytes;
}

std::unique_ptr<Watch> LocalEngine::watch(const WatchOptions& options, Watcher& watcher) {
  return hub_.watch(options, watcher);
}

std::unique_ptr<Ticket> LocalEngine::submit(Transaction transaction, OnOutcome on_outcome) {
  auto waiting = std::make_shared<Waiting>();
  waiting->transaction = std::move(transaction);
  waiting->on_outcome = std::move(on_outcome);
  enqueue(waiting);
  return std::make_unique<LocalTicket>(std::move(waiting));
}

// Skips the sweep if the session holds nothing: most sessions don't, and scripts open one for each call. But a pending
// write may still create a key.
void LocalEngine::end_session(const std::string& session_holder) {
  const auto at = model_.holders().lower_bound(HolderOrder::Point{Lifetime::kSession, session_holder});
  const bool holds = at != model_.holders().end() && (*at)->holder() == session_holder;
  if (!holds && !in_flight_ && queue_.empty()) return;
  enqueue_sweep({.kind = Sweep::Kind::kSession, .text = session_holder});
}

void LocalEngine::end_boots(const std::string& vm, const std::string& current_boot_id) {
  enqueue_sweep({.kind = Sweep::Kind::kBoots, .text = vm, .except = boot_holder(vm, current_boot_id)});
}

void LocalEngine::purge(const std::string& vm, std::function<void(OutcomeCode)> done) {
  enqueue_sweep({.kind = Sweep::Kind::kVm, .text = vm, .done = std::move(done)});
}

void LocalEngine::enqueue_sweep(Sweep sweep) {
  auto waiting = std::make_shared<Waiting>();
  waiting->on_outcome = [done = std::move(sweep.done)](const Outcome& outcome) {
    if (done) done(outcome.code);
  };
  waiting->sweep = std::move(sweep);
  enqueue(std::move(waiting));
}

void LocalEngine::enqueue(std::shared_ptr<Waiting> waiting) {
  queue_.push_back(std::move(waiting));
  wake();
}

// A batch in flight wakes the reactor itself when it is done.
void LocalEngine::wake() {
  if (in_flight_ || std::exchange(woken_, true)) return;
  writer_.wake();
}

void LocalEngine::process() {
  writer_.drain();
  woken_ = false;
  std::vector<Settled> settled;
  if (in_flight_)
    if (const auto result = writer_.take()) settled = finish_batch(*result);
  if (Clock::now() >= retry_at_) retry_deferred();
  // Starts the next batch before any callback, to keep the disk busy.
  if (!in_flight_)
    for (auto& one : begin_batch()) settled.push_back(std::move(one));
  hub_.notify();
  answer(settled);
}

std::vector<LocalEngine::Settled> LocalEngine::begin_batch() {
  BatchMaker maker(model_, read_only_);
  InFlight batch;
  while (!queue_.empty() && !maker.full()) {
    auto waiting = std::move(queue_.front());
    queue_.pop_front();
    if (waiting->dropped) continue;
    waiting->evaluated = true;
    if (waiting->sweep && read_only_) {
      batch.settled.push_back({std::move(waiting), {.code = OutcomeCode::kReadOnly}});
    } else if (waiting->sweep) {
      if (maker.add(*waiting->sweep))
        batch.settled.push_back({std::move(waiting), {}});
      else
        batch.unfinished.push_back(std::move(waiting));
    } else {
      auto outcome = maker.add(waiting->transaction);
      waiting->transaction = {};
      batch.settled.push_back({std::move(waiting), std::move(outcome)});
    }
  }
  if (!maker.has_changes()) {
    if (!queue_.empty()) wake();
    return std::move(batch.settled);
  }
  batch.batch = std::make_shared<const Batch>(maker.take());
  writer_.write(batch.batch);
  in_flight_ = std::move(batch);
  return {};
}

std::vector<LocalEngine::Settled> LocalEngine::finish_batch(const WriteResult& result) {
  auto finished = std::move(*in_flight_);
  in_flight_.reset();
  note_disk(result);
  if (result.kind != WriteResult::Kind::kCommitted) return fail_batch(std::move(finished), result.kind);
  apply(finished);
  retry_deferred();
  return std::move(finished.settled);
}

void LocalEngine::apply(const InFlight& committed) {
  const auto first = model_.history().end();
  const auto before = model_.revision();
  model_.apply(*committed.batch);
  hub_.offer(first);
  model_.trim_history();
  ++commits_;
  transactions_ += static_cast<std::uint64_t>(model_.revision() - before);
  for (const auto& sweep : committed.unfinished) queue_.push_back(sweep);
}

std::vector<LocalEngine::Settled> LocalEngine::fail_batch(InFlight failed, WriteResult::Kind kind) {
  std::vector<Settled> settled;
  const auto settle = [&](std::shared_ptr<Waiting> waiting) {
    if (waiting->sweep && kind == WriteResult::Kind::kFull)
      defer(std::move(waiting));
    else
      settled.push_back({std::move(waiting), {.code = verdict_of(kind), .reason = reason_of(kind)}});
  };
  for (auto& one : failed.settled) settle(std::move(one.waiting));
  for (auto& sweep : failed.unfinished) settle(std::move(sweep));
  return settled;
}

void LocalEngine::note_disk(const WriteResult& result) {
  switch (result.kind) {
    case WriteResult::Kind::kCommitted:
      if (std::exchange(disk_full_, false)) owner_.on_disk_recovered();
      return;
    case WriteResult::Kind::kFull:
      if (!std::exchange(disk_full_, true)) owner_.on_disk_full(result.what);
      return;
    case WriteResult::Kind::kFailed:
      read_only_ = true;
      owner_.on_disk_failed(result.what);
      return;
  }
}

void LocalEngine::defer(std::shared_ptr<Waiting> sweep) {
  deferred_.push_back(std::move(sweep));
  retry_at_ = Clock::now() + kRetry;
  writer_.wake_after(kRetry);
}

void LocalEngine::retry_deferred() {
  for (auto& sweep : std::exchange(deferred_, {})) queue_.push_back(std::move(sweep));
  retry_at_ = kNever;
}

void LocalEngine::answer(const std::vector<Settled>& settled) {
  for (const auto& [waiting, outcome] : settled)
    // Moved out first, because the callback may destroy the ticket.
    if (const auto on_outcome = std::exchange(waiting->on_outcome, nullptr)) on_outcome(outcome);
}

EngineStats LocalEngine::stats() const {
  return {.keys = model_.index().size(),
          .bytes = model_.bytes(),
          .revision = model_.revision(),
          .compact_revision = model_.history().compact_revision(),
          .commits = commits_,
          .transactions = transactions_,
          .watches = hub_.size(),
          .history_events = model_.history().size(),
          .answers = model_.answers().size(),
          .queue = queue_.size() + (in_flight_ ? in_flight_->settled.size() + in_flight_->unfinished.size() : 0)};
}

}  // namespace hostcall::daemon::store
