#include "daemon/loop/reactor.h"

#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <systemd/sd-daemon.h>
#include <systemd/sd-event.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <stdexcept>
#include <utility>

#include "daemon/loop/nudge.h"

namespace hostcall::daemon {
namespace {

static_assert(kReadable == EPOLLIN && kWritable == EPOLLOUT && kError == EPOLLERR && kPeerClosed == EPOLLRDHUP);

constexpr std::size_t kEventsPerTurn = 256;
constexpr int kTimersPerTurn = 256;
// epoll_wait()'s own time-out serves nearer deadlines, because setting the alarm costs a system call.
constexpr Duration kAlarmFrom = milliseconds(100);

[[noreturn]] void fail(const char* what, int code) {
  throw std::runtime_error(Error{code, std::string("reactor: ") + what}.message());
}

}  // namespace

Alarm::Alarm() : fd_(UniqueFd::adopt(::timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC))) {
  if (!fd_) fail("timerfd_create", errno);
}

void Alarm::set(TimePoint deadline) {
  const auto since_boot = deadline.time_since_epoch();
  const auto whole = std::chrono::floor<seconds>(since_boot);
  itimerspec when{};
  when.it_value.tv_sec = static_cast<time_t>(whole.count());
  when.it_value.tv_nsec = static_cast<long>(nanoseconds(since_boot - whole).count());
  if (::timerfd_settime(fd_.get(), TFD_TIMER_ABSTIME, &when, nullptr) != 0) fail("timerfd_settime", errno);
  set_to_ = deadline;
}

// The alarm rang. The next wait sets it again.
void Alarm::on_io(std::uint32_t) {
  set_to_ = kNever;
  std::uint64_t times = 0;
  // Fails only if the alarm was set again meanwhile.
  (void)!::read(fd_.get(), &times, sizeof times);
}

struct Reactor::SignalSource {
  std::function<void()> action;
  sd_event_source* source = nullptr;
};

Reactor::Reactor(const TimeSource& time)
    : time_(time),
      epoll_(UniqueFd::adopt(::epoll_create1(EPOLL_CLOEXEC))),
      now_(time.now()),
      buffer_(std::make_unique_for_overwrite<char[]>(kBufferBytes)) {
  if (!epoll_) fail("epoll_create1", errno);
  if (const int error = sd_event_new(&event_); error < 0) fail("sd_event_new", -error);
  epoll_event watch{};
  watch.events = EPOLLIN;
  watch.data.ptr = nullptr;  // null means sd-event
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, sd_event_get_fd(event_), &watch) != 0) fail("epoll_ctl", errno);
  if (const auto added = add(alarm_.fd(), kReadable, alarm_); !added.ok()) fail("epoll_ctl", added.error().code);
}

Reactor::~Reactor() {
  for (const auto& signal : signals_) sd_event_source_unref(signal->source);
  sd_event_unref(event_);
}

void Reactor::run() {
  // Arms the event sources that sd-event has so far.
  dispatch_sd_event();
  const Nudge nudge;
  sleep_mask_ = Nudge::mask_for_sleep();
  while (running_) turn(true);
  sleep_mask_.reset();
}

void Reactor::run_ready() {
  dispatch_sd_event();
  while (turn(false)) {
  }
}

// False: there was no work.
bool Reactor::turn(bool may_sleep) {
  std::array<epoll_event, kEventsPerTurn> events;
  const auto count = may_sleep ? await(events) : poll(events, 0);
  now_ = time_.now();
  const bool has_work =
      count != 0 || !work_.idle() || !turn_end_.empty() || (!heap_.empty() && heap_.front().deadline <= now_);
  work_.begin_turn(now_);
  for (const auto& event : std::span(events).first(count)) {
    if (event.data.ptr == nullptr)
      dispatch_sd_event();
    else
      static_cast<IoHandler*>(event.data.ptr)->on_io(event.events);
  }
  work_.serve_waiting();
  run_timers();
  work_.begin_phase();
  run_turn_end();
  // Destructors should retire nothing more, but may.
  if (retired_.empty()) return has_work;
  const auto dead = std::exchange(retired_, {});
  return has_work;
}

void Reactor::set_busy_poll(Duration limit) {
  // An unchanged limit keeps what busy polling has learnt.
  if (limit != std::exchange(busy_poll_limit_, limit)) busy_poll_ = BusyPoll(limit);
}

// Polls for more input if the last turn had some, but never past the next timer. An idle daemon, which only timers
// wake, sleeps at once.
std::size_t Reactor::await(std::span<epoll_event> events) {
  std::size_t count = 0;
  const auto until = heap_.empty() ? kNever : heap_.front().deadline;
  const bool may_look = had_input_ && turn_end_.empty() && work_.idle();
  const bool found = may_look && busy_poll_.run(until, [&] { return (count = poll(events, 0)) != 0; });
  if (!found) count = poll(events, wait_milliseconds());
  const bool alarm_only = count == 1 && events[0].data.ptr == static_cast<IoHandler*>(&alarm_);
  had_input_ = count != 0 && !alarm_only;
  return count;
}

std::size_t Reactor::poll(std::span<epoll_event> events, int milliseconds) {
  const int count = ::epoll_pwait(epoll_.get(), events.data(), static_cast<int>(events.size()), milliseconds,
                                  sleep_mask_ ? &*sleep_mask_ : nullptr);
  if (count < 0 && errno != EINTR) fail("epoll_pwait", errno);
  return static_cast<std::size_t>(std::max(count, 0));
}

int Reactor::wait_milliseconds() {
  if (!turn_end_.empty() || !work_.idle()) return 0;
  if (heap_.empty()) return -1;
  const auto deadline = heap_.front().deadline;
  if (deadline - now_ >= kAlarmFrom) {
    alarm_.ring_by(deadline);
    return -1;
  }
  const auto left = deadline - time_.now();
  if (left <= Duration::zero()) return 0;
  // Rounded up: waking early would waste a turn.
  return static_cast<int>(std::chrono::ceil<milliseconds>(left).count());
}

void Reactor::dispatch_sd_event() {
  for (;;) {
    int ready = sd_event_prepare(event_);
    if (ready == 0) ready = sd_event_wait(event_, 0);
    if (ready < 0) fail("sd_event", -ready);
    if (ready == 0) return;
    if (const int error = sd_event_dispatch(event_); error < 0) fail("sd_event_dispatch", -error);
  }
}

// ---------------------------------------------------------------- descriptors

namespace {

Done control(int epoll, int operation, int fd, std::uint32_t events, IoHandler* handler) {
  epoll_event watch{};
  watch.events = events;
  watch.data.ptr = handler;
  if (::epoll_ctl(epoll, operation, fd, &watch) != 0) return Error::from_errno("epoll_ctl");
  return done();
}

}  // namespace

Done Reactor::add(int fd, std::uint32_t events, IoHandler& handler) {
  return control(epoll_.get(), EPOLL_CTL_ADD, fd, events, &handler);
}

void Reactor::change(int fd, std::uint32_t events, IoHandler& handler) {
  if (const auto changed = control(epoll_.get(), EPOLL_CTL_MOD, fd, events, &handler); !changed.ok())
    fail("change of a registered descriptor", changed.error().code);
}

void Reactor::remove(int fd) {
  if (const auto removed = control(epoll_.get(), EPOLL_CTL_DEL, fd, 0, nullptr); !removed.ok())
    fail("removal of a registered descriptor", removed.error().code);
}

// ---------------------------------------------------------------- end of turn

void Reactor::forget(TurnEnd& object) {
  if (std::exchange(object.queued_, false)) std::ranges::replace(turn_end_, &object, nullptr);
}

void Reactor::run_turn_end() {
  // Requests that arrive meanwhile belong to the next turn. Otherwise an object that always asks again would keep this
  // turn from ending.
  const auto count = turn_end_.size();
  for (std::size_t i = 0; i < count; ++i) {
    auto* object = turn_end_[i];
    if (object == nullptr) continue;
    object->queued_ = false;
    object->on_turn_end();
  }
  turn_end_.erase(turn_end_.begin(), turn_end_.begin() + static_cast<std::ptrdiff_t>(count));
}

// ---------------------------------------------------------------- deadlines

void Timer::set(TimePoint deadline) {
  deadline_ = deadline;
  if (position_ == kNotInHeap) {
    position_ = reactor_.heap_.size();
    reactor_.heap_.push_back({deadline, this});
  }
  reactor_.heap_[position_].deadline = deadline;
  reactor_.heap_sift(position_);
}

void Timer::cancel() {
  deadline_ = kNever;
  if (position_ == kNotInHeap) return;
  const auto position = std::exchange(position_, kNotInHeap);
  const auto last = reactor_.heap_.back();
  reactor_.heap_.pop_back();
  if (last.timer == this) return;
  reactor_.heap_put(position, last);
  reactor_.heap_sift(position);
}

void Reactor::heap_put(std::size_t position, HeapEntry entry) {
  heap_[position] = entry;
  entry.timer->position_ = position;
}

// Moves an entry up or down to its place.
void Reactor::heap_sift(std::size_t position) {
  const auto entry = heap_[position];
  while (position > 0) {
    const auto parent = (position - 1) / 2;
    if (heap_[parent].deadline <= entry.deadline) break;
    heap_put(position, heap_[parent]);
    position = parent;
  }
  for (;;) {
    auto child = 2 * position + 1;
    if (child >= heap_.size()) break;
    if (child + 1 < heap_.size() && heap_[child + 1].deadline < heap_[child].deadline) ++child;
    if (heap_[child].deadline >= entry.deadline) break;
    heap_put(position, heap_[child]);
    position = child;
  }
  heap_put(position, entry);
}

// Many timers may be due at once, after a pause or when many calls share a deadline. The rest is for the next turn.
void Reactor::run_timers() {
  for (int i = 0; i < kTimersPerTurn && !heap_.empty() && heap_.front().deadline <= now_; ++i) {
    auto& timer = *heap_.front().timer;
    timer.cancel();
    timer.callback_();
  }
}

// ---------------------------------------------------------------- systemd

void Reactor::on_signal(int signal, std::function<void()> action) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, signal);
  if (::sigprocmask(SIG_BLOCK, &set, nullptr) != 0) fail("sigprocmask", errno);
  auto source = std::make_unique<SignalSource>();
  source->action = std::move(action);
  const auto call = [](sd_event_source*, const signalfd_siginfo*, void* self) {
    static_cast<SignalSource*>(self)->action();
    return 0;
  };
  const int error = sd_event_add_signal(event_, &source->source, signal, call, source.get());
  if (error < 0) fail("sd_event_add_signal", -error);
  signals_.push_back(std::move(source));
}

void Reactor::enable_watchdog() {
  if (const int error = sd_event_set_watchdog(event_, 1); error < 0) fail("sd_event_set_watchdog", -error);
}

void Reactor::notify_systemd(const std::string& state) { sd_notify(0, state.c_str()); }

}  // namespace hostcall::daemon
