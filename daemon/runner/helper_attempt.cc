#include "daemon/runner/helper_attempt.h"

#include <fcntl.h>

#include <utility>

#include "proto/base/escape.h"

namespace hostcall::daemon {
namespace {

using wire::Code;
using wire::Status;

}  // namespace

HelperAttempt::HelperAttempt(Reactor& reactor, Bus& bus, const std::string& service, UnitSpec spec,
                             AttemptObserver& observer)
    : reactor_(reactor), service_(service), observer_(observer) {
  auto pair = packet_socket_pair();
  for (const std::size_t i : {1U, 2U}) spec.descriptors[i] = UniqueFd::adopt(::open("/dev/null", O_WRONLY | O_CLOEXEC));
  if (!pair.ok() || !spec.descriptors[1] || !spec.descriptors[2]) {
    reactor_.at_turn_end(*this);
    return;
  }
  channel_.emplace(reactor, std::move(pair->first), *this);
  spec.descriptors[0] = std::move(pair->second);
  unit_.emplace(reactor, bus, service, std::move(spec), *this);
}

void HelperAttempt::on_turn_end() {
  fail({Code::kResourceExhausted, "the host has no room for a connection", seconds(1)});
}

bool HelperAttempt::stop() {
  is_over_ = true;
  if (channel_) channel_->close();
  if (!unit_ || is_gone_) return true;
  if (!std::exchange(is_stopped_, true)) unit_->kill();
  return false;
}

void HelperAttempt::on_packet(ReceivedPacket packet) {
  runner::Reply reply;
  const bool is_reply = reply.ParseFromArray(packet.bytes.data(), static_cast<int>(packet.bytes.size()));
  if (is_over_) return;
  if (is_reply && reply.has_connected() && packet.descriptors.size() == 1) {
    is_over_ = true;
    return observer_.on_socket(std::move(packet.descriptors.front()));
  }
  fail({Code::kUnavailable, is_reply && reply.has_failed() ? reply.failed().text()
                                                           : "service " + in_quotes(service_) + " can't be reached"});
}

// It may have answered before, in the same turn.
void HelperAttempt::on_gone(const runner::Ended&) {
  if (channel_) channel_->on_io(kReadable);
  fail({Code::kUnavailable, "service " + in_quotes(service_) + " can't be reached"});
  note_gone();
}

void HelperAttempt::on_lost(const Status& status) {
  fail(status);
  note_gone();
}

void HelperAttempt::note_gone() {
  is_gone_ = true;
  if (is_stopped_) observer_.on_stopped();
}

void HelperAttempt::fail(const Status& status) {
  if (!std::exchange(is_over_, true)) observer_.on_no_socket(status);
}

}  // namespace hostcall::daemon
