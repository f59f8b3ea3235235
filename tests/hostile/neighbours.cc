#include "tests/hostile/neighbours.h"

#include <poll.h>

#include <algorithm>

#include "tests/hostile/calls.h"
#include "tests/hostile/cores.h"
#include "tests/support/patience.h"

namespace hostcall::test {
namespace {

constexpr std::chrono::milliseconds kPeriod(10);

}  // namespace

Neighbours::Neighbours(const std::vector<std::string>& socket_paths) {
  const auto begin = Clock::now();
  for (const auto& path : socket_paths) {
    auto& vm = *vms_.emplace_back(std::make_unique<Vm>(path));
    vm.due = begin + kPeriod * vms_.size() / socket_paths.size();
    send(vm, begin);  // a connection without a first call is closed, however long the thread takes to start
  }
  thread_ = std::thread([this] { run(); });
}

void Neighbours::run() {
  prefer_this_thread();
  while (!stopping_) {
    send_due();
    receive(std::max(next_due() - Clock::now(), Clock::duration::zero()));
  }
  for (const auto end = Clock::now() + kPatience; is_waiting() && Clock::now() < end;) receive(kPeriod);
}

Neighbours::Clock::time_point Neighbours::next_due() const {
  return (*std::ranges::min_element(vms_, {}, [](const auto& vm) { return vm->due; }))->due;
}

void Neighbours::send_due() {
  const std::lock_guard lock(mutex_);
  for (const auto now = Clock::now(); const auto& vm : vms_) {
    if (vm->due > now) continue;
    send(*vm, now);
    vm->due += kPeriod;
  }
}

void Neighbours::send(Vm& vm, Clock::time_point now) {
  vm.peer.queue(call(vm.stream, "Session/Ping"));
  vm.stream += 2;
  vm.waiting.push_back(now);
  ++calls_;
  vm.peer.flush();
}

void Neighbours::receive(std::chrono::nanoseconds time) {
  std::vector<pollfd> ready;
  for (const auto& vm : vms_) ready.push_back({vm->peer.fd(), POLLIN, 0});
  const timespec timeout{.tv_sec = 0, .tv_nsec = time.count()};
  if (::ppoll(ready.data(), ready.size(), &timeout, nullptr) <= 0) return;
  const std::lock_guard lock(mutex_);
  for (std::size_t i = 0; i < ready.size(); ++i) {
    if (ready[i].revents == 0) continue;
    auto& vm = *vms_[i];
    vm.peer.receive([&](const wire::Frame& frame) {
      if (vm.waiting.empty()) return;
      taken_.push_back(Clock::now() - vm.waiting.front());
      vm.waiting.pop_front();
      answered_ += word_of(frame) == "OK" ? 1 : 0;
    });
  }
}

bool Neighbours::is_waiting() const {
  return std::ranges::any_of(vms_, [](const auto& vm) { return vm->peer.is_open() && !vm->waiting.empty(); });
}

Neighbours::Clock::duration Neighbours::take_p99() {
  const std::lock_guard lock(mutex_);
  auto taken = std::exchange(taken_, {});
  for (const auto now = Clock::now(); const auto& vm : vms_)
    for (const auto sent : vm->waiting) taken.push_back(now - sent);
  if (taken.empty()) return {};
  const auto place = taken.begin() + static_cast<std::ptrdiff_t>(taken.size() * 99 / 100);
  std::ranges::nth_element(taken, place);
  return *place;
}

void Neighbours::stop() {
  stopping_ = true;
  if (thread_.joinable()) thread_.join();
}

}  // namespace hostcall::test
