// Writer: the thread that commits, and that runs other work which would hold up the reactor. It shares with the
// reactor's thread only the few members below the mutex, and an eventfd that announces results. The daemon's threads
// share nothing else.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "daemon/store/batch.h"
#include "daemon/store/database.h"
#include "proto/base/clock.h"
#include "proto/base/unique_fd.h"

namespace hostcall::daemon::store {

class Writer {
 public:
  // Throws if no thread can be started.
  explicit Writer(std::unique_ptr<Database> database);
  // Finishes the current batch and job, drops the other jobs, and closes the database.
  ~Writer();
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;

  // Starts to write a batch. The result of the previous one must have been taken.
  void write(std::shared_ptr<const Batch> batch);
  // Returns the result of the batch, once.
  std::optional<WriteResult> take();

  // Runs the work on the thread, after the jobs before it; batches go first. The work must not throw.
  struct Job {
    std::function<void(Database&)> work;
    std::function<void()> done;  // for the reactor's thread: see take_finished()
  };
  void run(Job job);
  // Returns the `done` of each job that has run, once, in order.
  std::vector<std::function<void()>> take_finished();

  // Readable after a batch, after a job and after wake().
  int fd() const { return event_.get(); }
  void wake();
  // Calls wake() after the delay.
  void wake_after(Duration delay);
  // Makes fd() unreadable.
  void drain();

 private:
  void run_thread();
  // Waits for a batch, a job, the time to wake or the end.
  void await(std::unique_lock<std::mutex>& lock);
  // These run without the lock.
  void commit(std::unique_lock<std::mutex>& lock);
  void run_job(std::unique_lock<std::mutex>& lock);

  const UniqueFd event_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::shared_ptr<const Batch> batch_;
  std::optional<WriteResult> result_;
  std::deque<Job> jobs_;
  std::vector<std::function<void()>> finished_;
  TimePoint wake_at_ = kNever;
  bool stopping_ = false;

  std::unique_ptr<Database> database_;  // used only by the thread while it runs
  std::thread thread_;
};

}  // namespace hostcall::daemon::store
