// Reactor: the event loop of the daemon's main thread: an epoll set for connections, a heap of deadlines, and sd-event
// for signals and the watchdog, whose descriptor is in the epoll set. A turn handles input, then work that has waited
// for its share, then timers, then what was deferred to its end (flushes, removals), so that output is batched and no
// object dies during a call to it. Each part of a turn is bounded.
#pragma once

#include <csignal>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "daemon/loop/work.h"
#include "proto/base/busy_poll.h"
#include "proto/base/clock.h"
#include "proto/base/result.h"
#include "proto/base/unique_fd.h"

struct epoll_event;
struct sd_event;

namespace hostcall::daemon {

// A descriptor's events. The values are epoll's.
inline constexpr std::uint32_t kReadable = 0x001;     // EPOLLIN
inline constexpr std::uint32_t kWritable = 0x004;     // EPOLLOUT
inline constexpr std::uint32_t kError = 0x008;        // EPOLLERR, always reported
inline constexpr std::uint32_t kPeerClosed = 0x2000;  // EPOLLRDHUP

class IoHandler {
 public:
  virtual void on_io(std::uint32_t events) = 0;

 protected:
  ~IoHandler() = default;
};

// An object with work at the end of a turn; see at_turn_end().
class TurnEnd {
 public:
  virtual ~TurnEnd() = default;
  virtual void on_turn_end() = 0;

 private:
  friend class Reactor;
  bool queued_ = false;
};

// A member function and its object, without allocation. For timers.
class Callback {
 public:
  template <auto Member, class Object>
  static Callback to(Object* object) {
    return Callback([](void* self) { (static_cast<Object*>(self)->*Member)(); }, object);
  }
  void operator()() const { function_(object_); }

 private:
  Callback(void (*function)(void*), void* object) : function_(function), object_(object) {}
  void (*function_)(void*);
  void* object_;
};

class Reactor;

// Calls back once, at its deadline. The destructor cancels it.
class Timer {
 public:
  Timer(Reactor& reactor, Callback callback) : reactor_(reactor), callback_(callback) {}
  ~Timer() { cancel(); }
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;

  void set(TimePoint deadline);
  void cancel();
  // kNever if the timer is not set.
  TimePoint deadline() const { return deadline_; }

 private:
  friend class Reactor;
  static constexpr std::size_t kNotInHeap = ~std::size_t{0};
  Reactor& reactor_;
  Callback callback_;
  TimePoint deadline_ = kNever;
  std::size_t position_ = kNotInHeap;
};

// A timerfd in the epoll set, shared by far deadlines. A time-out of epoll_wait() starts and stops a kernel timer at
// each sleep; this one is armed once for many turns.
class Alarm final : public IoHandler {
 public:
  // Throws std::runtime_error if the kernel refuses.
  Alarm();

  int fd() const { return fd_.get(); }
  // Wakes the epoll set at the deadline or earlier.
  void ring_by(TimePoint deadline) {
    if (deadline < set_to_) set(deadline);
  }
  void on_io(std::uint32_t events) override;

 private:
  void set(TimePoint deadline);

  UniqueFd fd_;
  TimePoint set_to_ = kNever;  // kNever: not set
};

class Reactor {
 public:
  // Holds four messages of 64 KiB with their headers.
  static constexpr std::size_t kBufferBytes = 260 * 1024;

  // Throws std::runtime_error if the kernel refuses.
  explicit Reactor(const TimeSource& time = kSteadyTime);
  ~Reactor();
  Reactor(const Reactor&) = delete;
  Reactor& operator=(const Reactor&) = delete;

  // Runs until stop(). Needs the kernel's monotonic clock, and SIGALRM.
  void run();
  // Runs turns while something is ready, and never sleeps. For a manual clock, which stands still meanwhile.
  void run_ready();
  void stop() { running_ = false; }

  // How long a turn polls for more input before it sleeps. Zero: it sleeps at once.
  void set_busy_poll(Duration limit);

  // When this turn began.
  TimePoint now() const { return now_; }
  // What the clock shows now, which costs a look at it.
  TimePoint look_at_clock() const { return time_.now(); }
  // Shares out the turns.
  Work& work() { return work_; }
  // The buffer for one receive, which all connections share.
  std::span<char> buffer() { return {buffer_.get(), kBufferBytes}; }

  // The handler must live until the end of the turn that calls remove(), and may still be called in that turn.
  Done add(int fd, std::uint32_t events, IoHandler& handler);
  void change(int fd, std::uint32_t events, IoHandler& handler);
  void remove(int fd);

  // Calls the object at the end of this turn; during the end of a turn, at the end of the next one.
  void at_turn_end(TurnEnd& object) {
    if (!std::exchange(object.queued_, true)) turn_end_.push_back(&object);
  }
  // Undoes at_turn_end(). Required before the object dies.
  void forget(TurnEnd& object);
  // Destroys the object at the end of the turn.
  template <class Object>
  void retire(std::unique_ptr<Object> object) {
    retired_.emplace_back(object.release(), [](void* dead) { delete static_cast<Object*>(dead); });
  }

  // Runs the action at each such signal, whose normal delivery the reactor blocks. Throws.
  void on_signal(int signal, std::function<void()> action);
  // Notifies systemd's watchdog if the unit has one.
  void enable_watchdog();
  // Notifies systemd, if it started us: "READY=1", "STATUS=…".
  static void notify_systemd(const std::string& state);

 private:
  friend class Timer;
  struct HeapEntry {
    TimePoint deadline;
    Timer* timer;
  };
  struct SignalSource;

  bool turn(bool may_sleep);
  std::size_t await(std::span<epoll_event> events);
  std::size_t poll(std::span<epoll_event> events, int milliseconds);
  int wait_milliseconds();
  void run_timers();
  void run_turn_end();
  void dispatch_sd_event();
  void heap_put(std::size_t position, HeapEntry entry);
  void heap_sift(std::size_t position);

  const TimeSource& time_;
  Work work_{time_};
  UniqueFd epoll_;
  Alarm alarm_;
  sd_event* event_ = nullptr;
  Duration busy_poll_limit_{};
  BusyPoll busy_poll_;
  bool had_input_ = false;  // in the last turn
  TimePoint now_;
  bool running_ = true;
  std::optional<sigset_t> sleep_mask_;  // of run()
  std::vector<HeapEntry> heap_;
  std::vector<TurnEnd*> turn_end_;
  std::vector<std::unique_ptr<void, void (*)(void*)>> retired_;
  std::vector<std::unique_ptr<SignalSource>> signals_;
  const std::unique_ptr<char[]> buffer_;
};

}  // namespace hostcall::daemon
