// Writer: the thread that commits. It shares with the reactor's thread only the few members below the mutex, and an
// eventfd that announces results. The daemon's threads share nothing else.
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
  // Throws if no thread can be started.
  explicit Writer(std::unique_ptr<Database> database);
  // Finishes the current batch and closes the database.
  ~Writer();
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;

  // Starts to write a batch. The result of the previous one must have been taken.
  void write(std::shared_ptr<const Batch> batch);
  // Returns the result of the batch, once.
  std::optional<WriteResult> take();

  // Readable after a batch and after wake().
  int fd() const { return event_.get(); }
  void wake();
  // Calls wake() after the delay.
  void wake_after(Duration delay);
  // Makes fd() unreadable.
  void drain();

 private:
  void run();
  // Waits for the next batch; null: time-out or end.
  std::shared_ptr<const Batch> await(std::unique_lock<std::mutex>& lock);

  const UniqueFd event_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::shared_ptr<const Batch> batch_;
  std::optional<WriteResult> result_;
  TimePoint wake_at_ = kNever;
  bool stopping_ = false;

  std::unique_ptr<Database> database_;  // used only by the thread while it runs
  std::thread thread_;
};

}  // namespace hostcall::daemon::store
