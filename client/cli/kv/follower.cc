// Follower: see follower.h.
#include "client/cli/kv/follower.h"

#include <algorithm>

#include "client/cli/duration.h"
#include "client/cli/text.h"

namespace hostcall::cli::kv {
namespace {

// Before a watch is begun again: a host that stops says so at once, again and again.
constexpr milliseconds kPause{200};

// Whether the host will take the same watch again, later.
bool goes_on(const Status& status) {
  return status.code == Code::kUnavailable || status.code == Code::kDeadlineExceeded;
}

// Whether all is seen up to the message's revision. Parts of a snapshot or of a coalesced set have revision 0; but so
// has the greeting of a store that was never written.
bool ends_a_revision(const v1::WatchRequest& request, const v1::WatchResponse& message) {
  if (message.revision() != 0 || message.snapshot_complete()) return true;
  return !request.snapshot() && !message.coalesced() && message.compact_revision() == 0;
}

}  // namespace

Follower::Follower(Invocation& invocation, v1::WatchRequest request, bool needs_reader, bool awaits_key)
    : invocation_(invocation), request_(std::move(request)), needs_reader_(needs_reader), awaits_key_(awaits_key) {}

const v1::WatchResponse& Follower::next() {
  for (;;) {
    if (!stream_) open();
    switch (stream_->try_recv(message_)) {
      case Progress::kDone:
        // From here on another connection has to show what comes later only.
        if (ends_a_revision(request_, message_)) {
          request_.set_from_revision(message_.revision() + 1);
          request_.clear_snapshot();
        }
        has_changes_ |= message_.events_size() + message_.snapshot_size() != 0;
        return message_;
      case Progress::kWouldBlock: wait(deadline()); break;
      case Progress::kEnded: ended(); break;
    }
  }
}

void Follower::open() {
  auto options = invocation_.rest();
  // Once it has been there, it will be there again.
  options.wait_for_ready |= request_.from_revision() != 0;
  stream_ = value_of(invocation_.client().open<v1::Store::Watch>(request_, options));
}

void Follower::wait(TimePoint until, int fd) {
  if (!turn(invocation_.client(), {interrupt_, needs_reader_, fd}, until)) return;
  if (const int number = interrupt_.take(); number != 0) throw SignalEnd{number};
}

void Follower::ended() {
  const auto status = of_read(invocation_.with_hint(stream_->finish()));
  stream_.reset();
  const bool seen = request_.from_revision() != 0;
  const auto pause = std::max<Duration>(kPause, status.retry_after);
  const bool repeats = passes(status) || (goes_on(status) && (seen || invocation_.common().wait));
  if (!repeats || !invocation_.has_time_for(pause)) throw failure_at_end(status);
  const auto until = Clock::now() + pause;
  while (Clock::now() < until) wait(until);
}

// The deadline of a watch that goes well means only that nobody has written.
Failure Follower::failure_at_end(const Status& status) {
  const bool watches = request_.from_revision() != 0 && invocation_.client().session();
  if (status.code != Code::kDeadlineExceeded || !watches) return failure_of(status);
  const auto time = invocation_.common().timeout.value_or(kDefaultTimeout);
  const std::string missing = awaits_key_    ? printable(request_.prefix()) + " was not written"
                              : has_changes_ ? "no further change"
                                             : "no change";
  return {ExitCode::kDeadline, missing + " within " + exact_duration(time) + " (--timeout)"};
}

}  // namespace hostcall::cli::kv
