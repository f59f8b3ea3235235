// LocalEngine: the Engine that keeps its own database on this host.
//
// A transaction waits in the queue until the writer thread is idle. Then process() evaluates the queue in order,
// against the committed state plus the earlier changes of the same batch, and passes the batch to the writer. When the
// writer has committed it, process() applies it to the model, notifies watches and answers. So at most one batch is in
// flight, reads see only what is on disk, and writes that arrive together share a commit.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/store/batch_maker.h"
#include "daemon/store/engine.h"
#include "daemon/store/model.h"
#include "daemon/store/sweep.h"
#include "daemon/store/watch_hub.h"
#include "daemon/store/writer.h"
#include "proto/base/clock.h"

namespace hostcall::daemon::store {

struct StoreOptions {
  std::string path;
  HistoryLimits history;
  // SQLite's setting. Anything but FULL loses acknowledged writes in a power loss; only the test that shows this sets
  // it.
  std::string synchronous = "FULL";
  // False: the owner calls end_old_sessions(), before anybody reads.
  bool ends_old_sessions = true;
};

class LocalEngine final : public Engine {
 public:
  // Opens the store, or creates it if there is none, and deletes the keys of earlier sessions. Throws
  // std::runtime_error with a text for the operator. `owner` must outlive the engine; even the constructor may call it.
  LocalEngine(const StoreOptions& options, EngineOwner& owner);
  // Commits the batch that the writer has, and drops the queue. Calls no callbacks. All watches must be gone.
  ~LocalEngine() override;

  Ref get(std::string_view key) const override { return model_.find(key); }
  void scan(std::string_view prefix, std::string_view after, const Visit& visit) const override;
  Revision revision() const override { return model_.revision(); }
  Usage usage(const std::string& owner) const override { return model_.usage(owner); }
  std::size_t history_bytes(const std::string& vm) const override;
  Outcome read(const Transaction& transaction) const override;
  [[nodiscard]] std::unique_ptr<Ticket> submit(Transaction transaction, OnOutcome on_outcome) override;
  std::unique_ptr<Watch> watch(const WatchOptions& options, Watcher& watcher) override;
  void end_session(const std::string& session_holder) override;
  void end_boots(const std::string& vm, const std::string& current_boot_id) override;
  void purge(const std::string& vm, std::function<void(OutcomeCode)> done) override;
  [[nodiscard]] std::unique_ptr<Ticket> copy_to(const std::string& file, OnCopied done) override;
  // Runs the work on the writer thread, then `done` from process(). The work must not throw.
  void run_aside(std::function<void()> work, std::function<void()> done) {
    writer_.run({[work = std::move(work)](Database&) { work(); }, std::move(done)});
  }
  // Deletes the keys of earlier sessions, except those that another process has begun and this one goes on with.
  void end_old_sessions(const std::set<std::string>& kept);
  int fd() const override { return writer_.fd(); }
  void process() override;
  EngineStats stats() const override;

 private:
  struct Waiting;
  class LocalTicket;
  struct Settled {
    std::shared_ptr<Waiting> waiting;
    Outcome outcome;
  };
  // The batch that the writer has, and whom to answer after it.
  struct InFlight {
    std::shared_ptr<const Batch> batch;
    std::vector<Settled> settled;
    std::vector<std::shared_ptr<Waiting>> unfinished;  // sweeps with more steps to come
  };

  struct CopyOrder;
  class CopyTicket;
  void copy_on(const std::shared_ptr<CopyOrder>& order);

  void enqueue(std::shared_ptr<Waiting> waiting);
  void forget_dropped();
  void enqueue_sweep(Sweep sweep);
  void go_on(const std::vector<std::shared_ptr<Waiting>>& unfinished);
  void wake();
  // These return whom to answer.
  std::vector<Settled> begin_batch();
  InFlight evaluate_queue(BatchMaker& maker, std::vector<Settled>& settled);
  std::vector<Settled> finish_batch(const WriteResult& result);
  std::vector<Settled> fail_batch(InFlight failed, WriteResult::Kind kind);
  void apply(const InFlight& committed);
  void note_disk(const WriteResult& result);
  bool holds_keys(const std::string& session_holder) const;
  void defer(const std::vector<std::shared_ptr<Waiting>>& sweeps);
  void drop_covered_boot(std::string_view vm);
  void drop_covered_boots();
  void retry_deferred();
  static void answer(const std::vector<Settled>& settled);
  std::set<std::string> old_sessions() const;
  static std::unique_ptr<Database> open(const StoreOptions& options, Model& model);

  EngineOwner& owner_;
  Model model_;
  WatchHub hub_{model_};
  Writer writer_;
  std::deque<std::shared_ptr<Waiting>> queue_;
  const std::shared_ptr<std::size_t> dropped_ = std::make_shared<std::size_t>(0);  // of the queue
  std::set<std::string> holding_sessions_;  // that have asked for a key with their lifetime, and are not over
  std::optional<InFlight> in_flight_;
  std::vector<std::shared_ptr<Waiting>> deferred_;  // sweeps that wait for room on the disk or for memory
  TimePoint retry_at_ = kNever;                     // when to retry them
  bool woken_ = false;                              // process() is due to run
  // Of the last commit; the owner knows it.
  WriteResult::Kind last_result_ = WriteResult::Kind::kCommitted;
  bool read_only_ = false;
  std::uint64_t commits_ = 0;
  std::uint64_t transactions_ = 0;
  DurationHistogram commit_times_, sync_times_;
};

}  // namespace hostcall::daemon::store
