#include "daemon/vms/events.h"

#include <algorithm>
#include <chrono>
#include <cstdlib>

#include "proto/base/escape.h"

namespace hostcall::daemon {
namespace {

// Who causes records of a kind. Records of one lane can't push out those of another.
enum class LaneName : std::uint8_t { kHost, kTrouble, kCalls, kSessions };

struct Kind {
  MessageId id;
  std::string_view name;
  LaneName lane;
};

constexpr Kind kKinds[] = {
    {MessageId::kStarted, "started", LaneName::kHost},
    {MessageId::kStopping, "stopping", LaneName::kHost},
    {MessageId::kReloaded, "reloaded", LaneName::kHost},
    {MessageId::kReloadFailed, "reload-failed", LaneName::kHost},
    {MessageId::kPolicyWarning, "policy-warning", LaneName::kHost},
    {MessageId::kVmAdded, "vm-added", LaneName::kHost},
    {MessageId::kVmRemoved, "vm-removed", LaneName::kHost},
    {MessageId::kVmChanged, "vm-changed", LaneName::kHost},
    {MessageId::kAdminAction, "admin", LaneName::kHost},
    {MessageId::kSessionOpened, "connected", LaneName::kSessions},
    {MessageId::kSessionClosed, "disconnected", LaneName::kSessions},
    {MessageId::kCallerRefused, "refused", LaneName::kTrouble},
    {MessageId::kCallDenied, "denied", LaneName::kTrouble},
    {MessageId::kCallMade, "called", LaneName::kCalls},
    {MessageId::kLimitReached, "limit", LaneName::kTrouble},
    {MessageId::kViolation, "violation", LaneName::kTrouble},
    {MessageId::kPeerLost, "peer-lost", LaneName::kTrouble},
    {MessageId::kRecordsLost, "records-lost", LaneName::kTrouble},
    {MessageId::kStoreDiskFull, "store-full", LaneName::kHost},
    {MessageId::kStoreRecovered, "store-recovered", LaneName::kHost},
    {MessageId::kStoreFailed, "store-failed", LaneName::kHost},
    {MessageId::kSystemError, "system-error", LaneName::kTrouble},
};

const Kind& kind_of(MessageId id) {
  for (const auto& kind : kKinds)
    if (kind.id == id) return kind;
  std::abort();
}

std::int64_t host_micros() {
  return std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::system_clock::now().time_since_epoch())
      .count();
}

}  // namespace

std::string_view event_kind(MessageId id) { return kind_of(id).name; }

bool is_event_kind(std::string_view name) { return std::ranges::find(kKinds, name, &Kind::name) != std::end(kKinds); }

std::string event_kinds() {
  std::string all;
  for (const auto& kind : kKinds) all.append(all.empty() ? "" : ", ").append(kind.name);
  return all;
}

std::string_view Event::field(std::string_view name) const {
  for (const auto& [known, value] : fields)
    if (known == name) return value;
  return {};
}

std::size_t Event::bytes() const {
  auto bytes = sizeof(Event) + text.size();
  for (const auto& [name, value] : fields) bytes += sizeof(fields[0]) + name.size() + value.size();
  return bytes;
}

Events::Events(std::int64_t (*unix_micros)()) : unix_micros_(unix_micros != nullptr ? unix_micros : host_micros) {}

void Events::on_record(Level level, MessageId id, std::string_view message, std::initializer_list<Field> fields) {
  const auto now = static_cast<std::uint64_t>(std::max<std::int64_t>(unix_micros_(), 0));
  Event event{.number = last_number_ = std::max(last_number_ + 1, now),
              .level = level,
              .id = id,
              .text = escape_message(message, kMaxRecordText),
              .fields = {}};
  event.fields.reserve(fields.size());
  for (const auto& field : fields)
    if (!field.value.empty()) event.fields.emplace_back(field.name, escape(field.value, kMaxRecordValue));
  auto& lane = lanes_[static_cast<std::size_t>(kind_of(id).lane)];
  const auto bytes = event.bytes();
  while (!lane.events.empty() && (lane.events.size() >= kMaxRecords || lane.bytes + bytes > kMaxBytes))
    drop_oldest(lane);
  lane.bytes += bytes;
  lane.events.push_back(std::move(event));
  // Those who wait again meanwhile wait for the next one.
  LinkedList<EventFollower> told;
  told.append(waiting_);
  while (auto* follower = told.pop_front()) follower->on_event();
}

void Events::drop_oldest(Lane& lane) {
  lane.bytes -= lane.events.front().bytes();
  lane.dropped_number = lane.events.front().number;
  ++lane.dropped;
  lane.events.pop_front();
}

Events::Position Events::behind(std::uint64_t number, bool& lost) const {
  Position position{};
  lost = false;
  for (std::size_t i = 0; i < kLanes; ++i) {
    const auto& lane = lanes_[i];
    const auto at = std::ranges::upper_bound(lane.events, number, {}, &Event::number);
    position[i] = lane.dropped + static_cast<std::uint64_t>(at - lane.events.begin());
    lost |= number != 0 && lane.dropped_number > number;
  }
  return position;
}

const Event* Events::next(Position& position, std::uint64_t& lost) const {
  const Event* next = nullptr;
  std::size_t from = 0;
  for (std::size_t i = 0; i < kLanes; ++i) {
    const auto& lane = lanes_[i];
    if (position[i] < lane.dropped) {
      lost += lane.dropped - position[i];
      position[i] = lane.dropped;
    }
    const auto index = position[i] - lane.dropped;
    if (index >= lane.events.size() || (next != nullptr && lane.events[index].number > next->number)) continue;
    next = &lane.events[index];
    from = i;
  }
  if (next != nullptr) ++position[from];
  return next;
}

}  // namespace hostcall::daemon
