#include "daemon/services/event_stream.h"

#include <algorithm>
#include <charconv>

#include "proto/base/escape.h"

namespace hostcall::daemon {
namespace {

// How much a message holds, about.
constexpr std::size_t kMessageBytes = 32 * 1024;
// What it costs to look at an event, and what a message costs beside its events.
constexpr std::size_t kLookWork = 64;
constexpr std::size_t kMessageWork = 256;

std::uint32_t uid_of(std::string_view text) {
  std::uint32_t uid = 0;
  std::from_chars(text.data(), text.data() + text.size(), uid);
  return uid;
}

void fill_event(const Event& event, v1::HostEvent& message) {
  message.set_number(event.number);
  message.set_unix_nano(static_cast<std::int64_t>(event.number) * 1000);
  message.set_level(std::string(level_name(event.level)));
  message.set_kind(std::string(event_kind(event.id)));
  message.set_text(event.text);
  for (const auto& [name, value] : event.fields) {
    if (name == "VM") {
      message.set_vm(value);
    } else if (name == "UID") {
      message.set_uid(uid_of(value));
    } else if (name == "USER") {
      message.set_user(value);
    } else {
      auto& field = *message.add_fields();
      field.set_name(name);
      field.set_value(value);
    }
  }
}

}  // namespace

EventStream::EventStream(Events& events, WatchTurns& turns, const v1::EventsRequest& request)
    : events_(events),
      turns_(turns),
      request_(request),
      last_(events.newest()),
      position_(events.behind(request.only_new() ? last_ : request.after(), lost_before_)) {}

Status EventStream::check(const v1::EventsRequest& request) {
  for (const auto& kind : request.kinds())
    if (!is_event_kind(kind))
      return {Code::kInvalidArgument, in_quotes(kind) + " is no kind of events; there are " + event_kinds()};
  return {};
}

void EventStream::on_writable() {
  blocked_ = false;
  turns_.add(*this);
}

void EventStream::on_drain() { call().finish({Code::kUnavailable, "hostcalld is stopping"}); }

bool EventStream::is_wanted(const Event& event) const {
  const auto& kinds = request_.kinds();
  if (!kinds.empty() && std::ranges::find(kinds, event_kind(event.id)) == kinds.end()) return false;
  if (request_.vm().empty() || event.field("VM") == request_.vm()) return true;
  return request_.vm() == kAdminName && event.id == MessageId::kAdminAction;
}

// False: there are no more events now, or no more that are wanted.
bool EventStream::fill(Events::Position& position, v1::EventsResponse& message, std::size_t& work) {
  std::size_t bytes = 0;
  std::uint64_t lost = 0;
  while (bytes < kMessageBytes && work > 0) {
    auto behind = position;
    const auto* event = events_.next(behind, lost);
    if (is_over(event) || event == nullptr) return message.set_lost(lost), false;
    position = behind;
    work -= std::min(work, kLookWork);
    if (!is_wanted(*event)) continue;
    fill_event(*event, *message.add_events());
    bytes += event->bytes();
    work -= std::min(work, event->bytes());
  }
  message.set_lost(lost);
  return true;
}

bool EventStream::take_turn(std::size_t& work) {
  while (!blocked_ && work > 0) {
    if (!call().may_send(unsent_bytes_)) {
      blocked_ = true;
      return false;
    }
    work -= std::min(work, kMessageWork);
    v1::EventsResponse message;
    message.set_lost_before(lost_before_);
    auto position = position_;
    const bool has_more = fill(position, message, work);
    if ((message.events_size() != 0 || message.lost() != 0 || lost_before_) && !send(message)) return false;
    position_ = position;
    if (!has_more) return wait(), false;
  }
  return !blocked_;
}

// False: the caller takes no more now, or the call is over and this object dies soon.
bool EventStream::send(const v1::EventsResponse& message) {
  blocked_ = call().send(message) != wire::SendOutcome::kSent;
  unsent_bytes_ = blocked_ ? message.ByteSizeLong() : 0;
  lost_before_ &= blocked_;
  return !blocked_;
}

void EventStream::wait() {
  call().pass();
  unsent_bytes_ = 0;
  if (request_.follow()) return events_.wait(*this);
  call().finish({});
}

}  // namespace hostcall::daemon
