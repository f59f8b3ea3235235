// Follower: see follower.h.
#include "client/cli/kv/follower.h"

#include <algorithm>

namespace hostcall::cli::kv {
namespace {

// Before a watch is begun again: a host that stops says so at once, again and again.
constexpr milliseconds kPause{200};

// Whether the host will take the same watch again, later.
bool goes_on(const Status& status) {
  return status.code == Code::kUnavailable || status.code == Code::kDeadlineExceeded ||
         (status.code == Code::kResourceExhausted && status.retry_after > milliseconds(0));
}

// Whether all is seen up to the message's revision. Parts of a snapshot or of a coalesced set have revision 0; but so
// has the greeting of a store that was never written.
bool ends_a_revision(const v1::WatchRequest& request, const v1::WatchResponse& message) {
  if (message.revision() != 0 || message.snapshot_complete()) return true;
  return !request.snapshot() && !message.coalesced() && message.compact_revision() == 0;
}

}  // namespace

Follower::Follower(Invocation& invocation, v1::WatchRequest request)
    : invocation_(invocation), request_(std::move(request)) {}

const v1::WatchResponse* Follower::next() {
  while (!interrupted_) {
    if (!stream_) open();
    switch (stream_->try_recv(message_)) {
      case Progress::kDone:
        // From here on another connection has to show what comes later only.
        if (ends_a_revision(request_, message_)) {
          request_.set_from_revision(message_.revision() + 1);
          request_.clear_snapshot();
        }
        return &message_;
      case Progress::kWouldBlock: wait(kNever); break;
      case Progress::kEnded: ended(); break;
    }
  }
  return nullptr;
}

void Follower::open() {
  auto options = invocation_.rest();
  // Once it has been there, it will be there again.
  options.wait_for_ready |= request_.from_revision() != 0;
  stream_ = value_of(invocation_.client().open<v1::Store::Watch>(request_, options));
}

void Follower::wait(TimePoint until) {
  interrupted_ = interrupt_.turn(invocation_.client(), std::min(until, invocation_.deadline())) || interrupted_;
}

void Follower::ended() {
  const auto status = stream_->finish();
  stream_.reset();
  const bool seen = request_.from_revision() != 0;
  const bool late = Clock::now() >= invocation_.deadline();
  if (late || !goes_on(status) || (!seen && !invocation_.common().wait)) throw failure_of(status);
  const auto until = Clock::now() + std::max(kPause, status.retry_after);
  while (!interrupted_ && Clock::now() < until) wait(until);
}

}  // namespace hostcall::cli::kv
