// Writer: the thread that commits. It and the reactor's thread share the few members below the mutex, and an eventfd
// that says that a result is there; nothing else in the daemon is shared between threads.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>

#include "daemon/store/batch.h"
#include "daemon/store/database.h"
#include "proto/base/clock.h"
#include "proto/base/unique_fd.h"

namespace hostcall::daemon::store {

class Writer {
 public:
  // Throws when there is no thread to be had.
  explicit Writer(std::unique_ptr<Database> database);
  // Finishes the batch that it has, and closes the database.
  ~Writer();
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;

  // The next batch; only when the result of the one before was taken.
  void write(std::shared_ptr<const Batch> batch);
  // The result of the batch, once.
  std::optional<WriteResult> take();

  // Readable after a batch, and after wake().
  int fd() const { return event_.get(); }
  void wake();
  // Calls wake() after a while.
  void wake_after(Duration delay);
  // Makes fd() unreadable.
  void drain();

 private:
  void run();
  // What there is to do; null: a time-out, or the end.
  std::shared_ptr<const Batch> await(std::unique_lock<std::mutex>& lock);

  const UniqueFd event_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::shared_ptr<const Batch> batch_;
  std::optional<WriteResult> result_;
  TimePoint wake_at_ = kNever;
  bool stopping_ = false;

  std::unique_ptr<Database> database_;  // the thread's, while it runs
  std::thread thread_;
};

}  // namespace hostcall::daemon::store
