#include "daemon/vms/audit.h"

namespace hostcall::daemon {
namespace {

// Records per caller: enough for any honest mistake.
constexpr double kRecordsPerSecond = 20;
constexpr double kRecordsBurst = 200;
// Unknown callers share one gate beyond this many.
constexpr std::size_t kMaxGates = 4096;

std::string gate_key(const Caller& caller) {
  if (caller.vm) return caller.vm->record.name;
  if (caller.peer.family == net::Address::Family::kVsock) return "CID " + std::to_string(caller.peer.cid);
  return *caller.listener;
}

}  // namespace

bool Audit::may_write(const Caller& caller, TimePoint now) {
  auto key = gate_key(caller);
  if (gates_.size() >= kMaxGates && !gates_.contains(key)) key = "other callers";
  auto& gate = gates_.try_emplace(key, Gate{TokenBucket(kRecordsPerSecond, kRecordsBurst)}).first->second;
  if (gate.bucket.take(now) == Duration::zero()) return true;
  ++gate.held_back;
  return false;
}

void Audit::call_denied(const Caller& caller, std::string_view call, const Verdict& verdict, std::string_view text,
                        TimePoint now) {
  if (!may_write(caller, now)) return;
  const auto rule =
      verdict.rule == nullptr ? std::string("none") : verdict.rule->file + ":" + std::to_string(verdict.rule->line);
  journal_.write(Level::kNotice, MessageId::kCallDenied, text,
                 {{"VM", caller.name()}, {"CALL", call}, {"RULE", rule}, {"PEER", caller.peer_text()}});
}

void Audit::limit_reached(const Caller& caller, std::string_view text, TimePoint now) {
  if (!may_write(caller, now)) return;
  journal_.write(Level::kWarning, MessageId::kLimitReached, text,
                 {{"VM", caller.name()}, {"PEER", caller.peer_text()}});
}

void Audit::caller_refused(const Caller& caller, std::string_view text, TimePoint now) {
  if (!may_write(caller, now)) return;
  journal_.write(
      Level::kWarning, MessageId::kCallerRefused,
      "refused a connection from " + caller.peer_text() + " to " + *caller.listener + ": " + std::string(text),
      {{"VM", caller.name()}, {"PEER", caller.peer_text()}, {"LISTENER", *caller.listener}});
}

void Audit::violation(const Caller& caller, std::string_view text, TimePoint now) {
  if (!may_write(caller, now)) return;
  journal_.write(Level::kWarning, MessageId::kViolation,
                 caller.title() + " broke the protocol, connection closed: " + std::string(text),
                 {{"VM", caller.name()}, {"PEER", caller.peer_text()}});
}

void Audit::report(const std::string& caller, Gate& gate) {
  const auto count = std::to_string(std::exchange(gate.held_back, 0));
  journal_.write(Level::kWarning, MessageId::kRecordsLost,
                 count + " more records about " + caller + " were dropped: it causes too many",
                 {{"VM", caller}, {"COUNT", count}});
}

void Audit::flush(TimePoint now) {
  for (auto it = gates_.begin(); it != gates_.end();) {
    auto& gate = it->second;
    if (gate.held_back != 0) report(it->first, gate);
    it = gate.bucket.left(now) >= kRecordsBurst ? gates_.erase(it) : std::next(it);
  }
}

}  // namespace hostcall::daemon
