#include "daemon/store/writer.h"

#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>

#include <stdexcept>
#include <utility>

namespace hostcall::daemon::store {
namespace {

UniqueFd make_event() {
  auto event = UniqueFd::adopt(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!event) throw std::runtime_error("can't make an eventfd for the store");
  return event;
}

// Starts a thread with all signals blocked; the reactor handles signals.
template <class Run>
std::thread start_thread(Run run) {
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  std::thread thread(run);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return thread;
}

}  // namespace

Writer::Writer(std::unique_ptr<Database> database) : event_(make_event()), database_(std::move(database)) {
  thread_ = start_thread([this] { run_thread(); });
}

Writer::~Writer() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_one();
  thread_.join();
}

void Writer::write(std::shared_ptr<const Batch> batch) {
  {
    const std::lock_guard lock(mutex_);
    batch_ = std::move(batch);
  }
  changed_.notify_one();
}

std::optional<WriteResult> Writer::take() {
  const std::lock_guard lock(mutex_);
  return std::exchange(result_, std::nullopt);
}

// Increments of one can't overflow an eventfd's counter.
void Writer::wake() { ::eventfd_write(event_.get(), 1); }

void Writer::wake_after(Duration delay) {
  {
    const std::lock_guard lock(mutex_);
    wake_at_ = deadline_after(Clock::now(), delay);
  }
  changed_.notify_one();
}

void Writer::drain() {
  eventfd_t ignored;
  ::eventfd_read(event_.get(), &ignored);
}

void Writer::run(Job job) {
  {
    const std::lock_guard lock(mutex_);
    jobs_.push_back(std::move(job));
  }
  changed_.notify_one();
}

std::vector<std::function<void()>> Writer::take_finished() {
  const std::lock_guard lock(mutex_);
  return std::exchange(finished_, {});
}

void Writer::await(std::unique_lock<std::mutex>& lock) {
  const auto awaited = [this] { return batch_ != nullptr || !jobs_.empty() || stopping_; };
  if (wake_at_ == kNever) {
    changed_.wait(lock, [&] { return awaited() || wake_at_ != kNever; });
  } else if (!changed_.wait_until(lock, wake_at_, awaited)) {
    wake_at_ = kNever;
    wake();
  }
}

void Writer::commit(std::unique_lock<std::mutex>& lock) {
  auto batch = std::exchange(batch_, nullptr);
  lock.unlock();
  auto result = database_->write(*batch);
  batch.reset();
  lock.lock();
  result_ = std::move(result);
  wake();
}

void Writer::run_job(std::unique_lock<std::mutex>& lock) {
  auto job = std::move(jobs_.front());
  jobs_.pop_front();
  lock.unlock();
  job.work(*database_);
  job.work = nullptr;  // what it held is gone before anybody hears of its end
  lock.lock();
  finished_.push_back(std::move(job.done));
  wake();
}

void Writer::run_thread() {
  std::unique_lock lock(mutex_);
  for (;;) {
    await(lock);
    if (batch_ != nullptr) {
      commit(lock);
    } else if (stopping_) {
      return;
    } else if (!jobs_.empty()) {
      run_job(lock);
    }
  }
}

}  // namespace hostcall::daemon::store
