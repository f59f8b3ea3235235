#include "client/hostcallctl/event_follower.h"

namespace hostcall::cli::host {
namespace {

// Before the daemon is asked again: one that stops says so at once, again and again.
constexpr milliseconds kPause{200};

}  // namespace

EventFollower::EventFollower(Invocation& invocation, v1::EventsRequest request)
    : invocation_(invocation), request_(std::move(request)) {}

const v1::EventsResponse* EventFollower::next() {
  for (;;) {
    if (!stream_) open();
    switch (stream_->try_recv(message_)) {
      case Progress::kDone:
        has_been_read_ = true;
        if (!message_.events().empty()) {
          request_.set_after(message_.events().rbegin()->number());
          request_.clear_only_new();
        }
        return &message_;
      case Progress::kWouldBlock: wait(invocation_.deadline()); break;
      case Progress::kEnded:
        if (!ended()) return nullptr;
        break;
    }
  }
}

void EventFollower::open() {
  auto options = invocation_.rest();
  // Once it has been there, it will be there again.
  options.wait_for_ready |= has_been_read_;
  stream_ = value_of(invocation_.client().open<v1::Admin::Events>(request_, options));
}

void EventFollower::wait(TimePoint until) {
  if (!turn(invocation_.client(), {interrupt_, true}, until)) return;
  if (const int number = interrupt_.take(); number != 0) throw SignalEnd{number};
}

bool EventFollower::ended() {
  const auto status = of_read(invocation_.with_hint(stream_->finish()));
  stream_.reset();
  if (status.ok()) return false;
  // A daemon that stops starts again, perhaps.
  if (!request_.follow() || status.code != Code::kUnavailable || !has_been_read_ || !invocation_.has_time_for(kPause))
    throw failure_of(status);
  const auto until = Clock::now() + kPause;
  while (Clock::now() < until) wait(until);
  return true;
}

}  // namespace hostcall::cli::host
