// Reactor: the one thread that runs the daemon. An epoll set for connections, a heap for deadlines, and sd-event's own
// descriptor inside for signals and the watchdog. One turn: input, then timers, then what was put off to the end of the
// turn (flushes, removals), so that output is batched and no object dies while it is called.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "proto/base/busy_poll.h"
#include "proto/base/clock.h"
#include "proto/base/result.h"
#include "proto/base/unique_fd.h"

struct epoll_event;
struct sd_event;

namespace hostcall::daemon {

// Events of a descriptor; the values are epoll's.
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

// Something that has work at the end of the turn in which it asked for it.
class TurnEnd {
 public:
  virtual ~TurnEnd() = default;
  virtual void on_turn_end() = 0;

 private:
  friend class Reactor;
  bool queued_ = false;
};

// A member function with its object, for timers: no allocation.
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

// A deadline that calls once. Unset when destroyed.
class Timer {
 public:
  Timer(Reactor& reactor, Callback callback) : reactor_(reactor), callback_(callback) {}
  ~Timer() { cancel(); }
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;

  void set(TimePoint deadline);
  void cancel();
  // kNever when it is not set.
  TimePoint deadline() const { return deadline_; }

 private:
  friend class Reactor;
  static constexpr std::size_t kNotInHeap = ~std::size_t{0};
  Reactor& reactor_;
  Callback callback_;
  TimePoint deadline_ = kNever;
  std::size_t position_ = kNotInHeap;
};

// A timerfd in the epoll set, for deadlines that are far away. With a time-out of its own each epoll_wait() that sleeps
// starts a timer in the kernel and stops it again; this one is started once for many turns.
class Alarm final : public IoHandler {
 public:
  // Throws std::runtime_error when the kernel refuses.
  Alarm();

  int fd() const { return fd_.get(); }
  // The epoll set wakes at the deadline, or before.
  void ring_by(TimePoint deadline) {
    if (deadline < set_to_) set(deadline);
  }
  void on_io(std::uint32_t events) override;

 private:
  void set(TimePoint deadline);

  UniqueFd fd_;
  TimePoint set_to_ = kNever;  // kNever: it will not ring
};

class Reactor {
 public:
  // Four messages of 64 KiB with their headers.
  static constexpr std::size_t kBufferBytes = 260 * 1024;

  // Throws std::runtime_error when the kernel refuses.
  explicit Reactor(const TimeSource& time = kSteadyTime);
  ~Reactor();
  Reactor(const Reactor&) = delete;
  Reactor& operator=(const Reactor&) = delete;

  // Until stop(). Needs the kernel's monotonic time.
  void run();
  // Turns as long as something is ready, and never sleeps: for a time that stands still meanwhile.
  void run_ready();
  void stop() { running_ = false; }

  // After input, a turn looks for more for so long before it sleeps; zero: it sleeps at once.
  void set_busy_poll(Duration limit);

  // The time at which this turn began.
  TimePoint now() const { return now_; }
  // Room for one receive, shared by all connections of the turn.
  std::span<char> buffer() { return {buffer_.get(), kBufferBytes}; }

  // The handler must live until the end of the turn of remove(), and may still be called in that turn.
  Done add(int fd, std::uint32_t events, IoHandler& handler);
  void change(int fd, std::uint32_t events, IoHandler& handler);
  void remove(int fd);

  // At the end of this turn; of the next one if it is asked for at this one's end.
  void at_turn_end(TurnEnd& object) {
    if (!std::exchange(object.queued_, true)) turn_end_.push_back(&object);
  }
  // Takes back what at_turn_end() asked for; needed before such an object dies.
  void forget(TurnEnd& object);
  // Destroys the object when the turn is over.
  template <class Object>
  void retire(std::unique_ptr<Object> object) {
    retired_.emplace_back(object.release(), [](void* dead) { delete static_cast<Object*>(dead); });
  }

  // Calls at each of the signal, which the reactor blocks for normal delivery. Throws.
  void on_signal(int signal, std::function<void()> action);
  // Feeds systemd's watchdog if the unit has one.
  void enable_watchdog();
  // Tells systemd, if it started us: "READY=1", "STATUS=…".
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
  UniqueFd epoll_;
  Alarm alarm_;
  sd_event* event_ = nullptr;
  Duration busy_poll_limit_{};
  BusyPoll busy_poll_;
  bool had_input_ = false;  // in the turn before
  TimePoint now_;
  bool running_ = true;
  std::vector<HeapEntry> heap_;
  std::vector<TurnEnd*> turn_end_;
  std::vector<std::unique_ptr<void, void (*)(void*)>> retired_;
  std::vector<std::unique_ptr<SignalSource>> signals_;
  const std::unique_ptr<char[]> buffer_;
};

}  // namespace hostcall::daemon
