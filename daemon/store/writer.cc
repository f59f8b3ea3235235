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
  thread_ = start_thread([this] { run(); });
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

std::shared_ptr<const Batch> Writer::await(std::unique_lock<std::mutex>& lock) {
  const auto awaited = [this] { return batch_ != nullptr || stopping_; };
  if (wake_at_ == kNever) {
    changed_.wait(lock, [&] { return awaited() || wake_at_ != kNever; });
  } else if (!changed_.wait_until(lock, wake_at_, awaited)) {
    wake_at_ = kNever;
    wake();
  }
  return std::exchange(batch_, nullptr);
}

void Writer::run() {
  std::unique_lock lock(mutex_);
  for (;;) {
    auto batch = await(lock);
    if (batch == nullptr) {
      if (stopping_) return;
      continue;
    }
    lock.unlock();
    auto result = database_->write(*batch);
    batch.reset();
    lock.lock();
    result_ = std::move(result);
    wake();
  }
}

}  // namespace hostcall::daemon::store
