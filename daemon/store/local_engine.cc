#include "daemon/store/local_engine.h"

#include <poll.h>

#include <algorithm>
#include <cassert>
#include <cstdio>
#include <functional>
#include <map>
#include <set>
#include <string_view>
#include <utility>

#include "daemon/store/evaluate.h"

namespace hostcall::daemon::store {
namespace {

// How long a sweep waits for room on the disk, or for memory, before it tries again.
constexpr seconds kRetry{1};

// The outcome of all that was in a batch that was not committed.
Outcome outcome_of(WriteResult::Kind kind) {
  switch (kind) {
    case WriteResult::Kind::kFull: return refused(OutcomeCode::kDiskFull, "the host's disk is full");
    case WriteResult::Kind::kNoMemory: return refused(OutcomeCode::kNoMemory, "the host's store has no memory for it");
    case WriteResult::Kind::kCommitted:
    case WriteResult::Kind::kFailed: break;
  }
  return refused(OutcomeCode::kDiskFailed, "the host's disk has failed");
}

// Whether the transaction would have done nothing even if its batch had been committed, whatever else was in it.
bool is_refused_for_itself(const Outcome& outcome) {
  return outcome.code == OutcomeCode::kInvalid || outcome.code == OutcomeCode::kNoRoom;
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
  LocalTicket(std::shared_ptr<Waiting> waiting, std::shared_ptr<std::size_t> dropped)
      : waiting_(std::move(waiting)), dropped_(std::move(dropped)) {}
  ~LocalTicket() override {
    waiting_->on_outcome = nullptr;
    if (waiting_->evaluated) return;
    waiting_->dropped = true;
    waiting_->transaction = {};
    ++*dropped_;
  }

 private:
  const std::shared_ptr<Waiting> waiting_;
  const std::shared_ptr<std::size_t> dropped_;
};

LocalEngine::LocalEngine(const StoreOptions& options, EngineOwner& owner)
    : owner_(owner), model_(options.history), writer_(open(options, model_)) {
  if (options.ends_old_sessions) end_old_sessions({});
}

LocalEngine::~LocalEngine() = default;

std::unique_ptr<Database> LocalEngine::open(const StoreOptions& options, Model& model) {
  auto database = std::make_unique<Database>(options.path, options.synchronous);
  database->load(model);
  return database;
}

// Runs before anybody can read, so that nobody sees keys of sessions that are over.
void LocalEngine::end_old_sessions(const std::set<std::string>& kept) {
  if (kept.empty()) {
    enqueue_sweep({.kind = Sweep::Kind::kAllSessions});
  } else {
    for (const auto& session : old_sessions()) {
      if (kept.contains(session))
        holding_sessions_.insert(session);
      else
        enqueue_sweep({.kind = Sweep::Kind::kSession, .text = session});
    }
  }
  while (in_flight_ || !queue_.empty()) {
    pollfd ready{.fd = fd(), .events = POLLIN, .revents = 0};
    ::poll(&ready, 1, -1);
    process();
  }
}

// Those that hold keys.
std::set<std::string> LocalEngine::old_sessions() const {
  std::set<std::string> sessions;
  for (const auto& record : model_.holders())
    if (record->lifetime() == Lifetime::kSession) sessions.emplace(record->holder());
  return sessions;
}

void LocalEngine::scan(std::string_view prefix, std::string_view after, const Visit& visit) const {
  model_.scan(prefix, after, visit);
}

Outcome LocalEngine::read(const Transaction& transaction) const {
  assert(!may_write(transaction));
  auto draft = Draft::on(model_);
  return evaluate(transaction, draft);
}

std::unique_ptr<Watch> LocalEngine::watch(const WatchOptions& options, Watcher& watcher) {
  return hub_.watch(options, watcher);
}

std::unique_ptr<Ticket> LocalEngine::submit(Transaction transaction, OnOutcome on_outcome) {
  if (may_put_for_session(transaction)) holding_sessions_.insert(transaction.session_holder);
  auto waiting = std::make_shared<Waiting>();
  waiting->transaction = std::move(transaction);
  waiting->on_outcome = std::move(on_outcome);
  forget_dropped();
  enqueue(waiting);
  return std::make_unique<LocalTicket>(std::move(waiting), dropped_);
}

// A commit may take long, and nobody is charged for what was dropped meanwhile: never more than half of the queue.
void LocalEngine::forget_dropped() {
  if (*dropped_ <= queue_.size() / 2) return;
  std::erase_if(queue_, [](const auto& waiting) { return waiting->dropped; });
  *dropped_ = 0;
}

// Most sessions hold nothing, scripts open one for each call, and a commit may take long: what waits for it must not
// pile up. But a pending write may still create a key.
void LocalEngine::end_session(const std::string& session_holder) {
  if (holding_sessions_.erase(session_holder) == 0) return;
  if (!holds_keys(session_holder) && !in_flight_ && queue_.empty()) return;
  enqueue_sweep({.kind = Sweep::Kind::kSession, .text = session_holder});
}

bool LocalEngine::holds_keys(const std::string& session_holder) const {
  return model_.holders().contains(HolderOrder::Point{Lifetime::kSession, session_holder});
}

void LocalEngine::end_boots(const std::string& vm, const std::string& current_boot_id) {
  enqueue_sweep({.kind = Sweep::Kind::kBoots, .text = vm, .except = boot_holder(vm, current_boot_id)});
  drop_covered_boot(vm);
}

// A guest may say again and again that it boots, while a commit takes long. The last sweep covers an earlier one of the
// same boot, and together with the latest of another boot, which takes the keys that it excepts, it covers all the
// others; but not beyond a transaction, which would still see their keys. At most one is covered by a new one.
void LocalEngine::drop_covered_boot(std::string_view vm) {
  std::set<std::string_view> excepted;
  for (auto at = queue_.end(); at != queue_.begin() && (*--at)->sweep;) {
    const auto& sweep = *(*at)->sweep;
    if (sweep.kind != Sweep::Kind::kBoots || sweep.text != vm || sweep.until) continue;
    if (excepted.size() == 2 || !excepted.insert(sweep.except).second) {
      queue_.erase(at);
      return;
    }
  }
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
  for (const auto& done : writer_.take_finished()) done();
}

std::vector<LocalEngine::Settled> LocalEngine::begin_batch() {
  BatchMaker maker(model_, read_only_, hub_.size());
  std::vector<Settled> settled;
  auto batch = evaluate_queue(maker, settled);
  if (maker.has_changes()) {
    batch.batch = std::make_shared<const Batch>(maker.take());
    writer_.write(batch.batch);
    in_flight_ = std::move(batch);
    return settled;
  }
  for (auto& one : batch.settled) settled.push_back(std::move(one));
  go_on(batch.unfinished);
  if (!queue_.empty()) wake();
  return settled;
}

// `settled` gets what needs no commit.
LocalEngine::InFlight LocalEngine::evaluate_queue(BatchMaker& maker, std::vector<Settled>& settled) {
  InFlight batch;
  while (!queue_.empty() && !maker.full()) {
    auto waiting = std::move(queue_.front());
    queue_.pop_front();
    if (waiting->dropped) {
      --*dropped_;
      continue;
    }
    waiting->evaluated = true;
    if (waiting->sweep && read_only_) {
      settled.push_back({std::move(waiting), {.code = OutcomeCode::kReadOnly}});
    } else if (waiting->sweep) {
      if (maker.add(*waiting->sweep))
        batch.settled.push_back({std::move(waiting), {}});
      else
        batch.unfinished.push_back(std::move(waiting));
    } else {
      auto outcome = maker.add(waiting->transaction);
      waiting->transaction = {};
      auto& list = outcome.is_on_disk ? settled : batch.settled;
      list.push_back({std::move(waiting), std::move(outcome)});
    }
  }
  return batch;
}

// Lets others have their turn first.
void LocalEngine::go_on(const std::vector<std::shared_ptr<Waiting>>& unfinished) {
  for (const auto& waiting : unfinished) {
    sweep_on(*waiting->sweep);
    queue_.push_back(waiting);
  }
}

std::vector<LocalEngine::Settled> LocalEngine::finish_batch(const WriteResult& result) {
  auto finished = std::move(*in_flight_);
  in_flight_.reset();
  note_disk(result);
  if (result.kind != WriteResult::Kind::kCommitted) return fail_batch(std::move(finished), result.kind);
  commit_times_.add(result.took);
  sync_times_.add(result.sync);
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
  go_on(committed.unfinished);
}

std::vector<LocalEngine::Settled> LocalEngine::fail_batch(InFlight failed, WriteResult::Kind kind) {
  std::vector<Settled> settled;
  std::vector<std::shared_ptr<Waiting>> sweeps;
  const auto settle = [&](std::shared_ptr<Waiting> waiting, Outcome outcome) {
    if (waiting->sweep && kind != WriteResult::Kind::kFailed)
      sweeps.push_back(std::move(waiting));
    else if (is_refused_for_itself(outcome))
      settled.push_back({std::move(waiting), std::move(outcome)});
    else
      settled.push_back({std::move(waiting), outcome_of(kind)});
  };
  for (auto& one : failed.settled) settle(std::move(one.waiting), std::move(one.outcome));
  for (auto& sweep : failed.unfinished) settle(std::move(sweep), {});
  if (!sweeps.empty()) defer(sweeps);
  return settled;
}

void LocalEngine::note_disk(const WriteResult& result) {
  if (std::exchange(last_result_, result.kind) == result.kind) return;
  switch (result.kind) {
    case WriteResult::Kind::kCommitted: return owner_.on_disk_recovered();
    case WriteResult::Kind::kFull: return owner_.on_disk_full(result.what);
    case WriteResult::Kind::kNoMemory: return owner_.on_no_memory(result.what);
    case WriteResult::Kind::kFailed: read_only_ = true; return owner_.on_disk_failed(result.what);
  }
}

// Meanwhile, guests may go on to boot and to open sessions: what waits must not pile up.
void LocalEngine::defer(const std::vector<std::shared_ptr<Waiting>>& sweeps) {
  for (const auto& waiting : sweeps) {
    auto& sweep = *waiting->sweep;
    // The writes that it was to undo have failed.
    if (sweep.kind == Sweep::Kind::kSession && !holds_keys(sweep.text)) continue;
    sweep_again(sweep, model_);
    deferred_.push_back(waiting);
  }
  drop_covered_boots();
  retry_at_ = Clock::now() + kRetry;
  writer_.wake_after(kRetry);
}

// Of a VM's deferred sweeps for boots, the latest covers all of the same boot, and together with the latest of another
// boot, which takes the keys that the first one excepts, it covers all the others.
void LocalEngine::drop_covered_boots() {
  std::ranges::stable_sort(deferred_, std::greater(), [](const auto& waiting) { return waiting->sweep->until; });
  std::map<std::string_view, std::set<std::string_view>> kept;  // VMs, and what their sweeps except
  std::erase_if(deferred_, [&](const auto& waiting) {
    const auto& sweep = *waiting->sweep;
    if (sweep.kind != Sweep::Kind::kBoots) return false;
    auto& excepted = kept[sweep.text];
    return excepted.size() == 2 || !excepted.insert(sweep.except).second;
  });
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

std::size_t LocalEngine::history_bytes(const std::string& vm) const {
  return model_.history().bytes_of(vm_prefix(vm)) + model_.answers().bytes_of(vm);
}

EngineStats LocalEngine::stats() const {
  return {.keys = model_.index().size(),
          .bytes = model_.bytes(),
          .revision = model_.revision(),
          .compact_revision = model_.history().compact_revision({}),
          .commits = commits_,
          .transactions = transactions_,
          .watches = hub_.size(),
          .history_events = model_.history().size(),
          .answers = model_.answers().size(),
          .queue = queue_.size() + (in_flight_ ? in_flight_->settled.size() + in_flight_->unfinished.size() : 0),
          .commit_times = commit_times_,
          .sync_times = sync_times_};
}

// ---------------------------------------------------------------- a copy

struct LocalEngine::CopyOrder {
  std::string file;
  OnCopied done;
  // Of the step that has just run.
  bool is_complete = false;
  std::string error = {};
  // Used by the reactor's thread alone: nothing is to be told any more.
  bool is_over = false;

  // The first step removes what an earlier daemon may have left.
  void begin(Database&) { std::remove(file.c_str()); }
  void step(Database& database) {
    try {
      is_complete = database.copy_some(file);
    } catch (const std::exception& failure) {
      error = failure.what();
      std::remove(file.c_str());
    }
  }
  void give_up(Database& database) {
    database.end_copy();
    std::remove(file.c_str());
  }
};

class LocalEngine::CopyTicket final : public Ticket {
 public:
  CopyTicket(LocalEngine& engine, std::shared_ptr<CopyOrder> order) : engine_(engine), order_(std::move(order)) {}
  // Behind the step that runs, and before those of another copy.
  ~CopyTicket() override {
    if (std::exchange(order_->is_over, true)) return;
    engine_.writer_.run({[order = order_](Database& database) { order->give_up(database); }, [] {}});
  }

 private:
  LocalEngine& engine_;
  const std::shared_ptr<CopyOrder> order_;
};

std::unique_ptr<Ticket> LocalEngine::copy_to(const std::string& file, OnCopied done) {
  auto order = std::make_shared<CopyOrder>(CopyOrder{.file = file, .done = std::move(done)});
  writer_.run({[order](Database& database) { order->begin(database); }, [] {}});
  copy_on(order);
  return std::make_unique<CopyTicket>(*this, std::move(order));
}

void LocalEngine::copy_on(const std::shared_ptr<CopyOrder>& order) {
  writer_.run({[order](Database& database) { order->step(database); },
               [this, order] {
                 if (order->is_over) return;
                 if (order->error.empty() && !order->is_complete) return copy_on(order);
                 order->is_over = true;
                 order->done(order->error);
               }});
}

}  // namespace hostcall::daemon::store
