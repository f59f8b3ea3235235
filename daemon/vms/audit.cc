#include "daemon/vms/audit.h"

#include <algorithm>
#include <utility>

#include "proto/base/escape.h"

namespace hostcall::daemon {
namespace {

// What a caller may write whatever the others do.
constexpr double kSharePerSecond = 1.0 / 600;
constexpr double kShareBurst = 3;
// Records of a caller that all others leave room for: enough for any honest mistake.
constexpr double kRecordsPerSecond = 1;
constexpr double kRecordsBurst = 200;
// Records of all callers: with 300 bytes each, 260 MB a day.
constexpr double kTotalPerSecond = 10;
constexpr double kTotalBurst = 1000;
// Reports of what was only counted, of all callers. Records take nothing off it, or those who write most would hide the
// rest.
constexpr double kReportsPerSecond = 1;
constexpr double kReportsBurst = 100;
// Records of calls that were made. They do not compete with those of trouble.
constexpr double kCallsPerSecond = 10;
constexpr double kCallsBurst = 100;
constexpr double kCallSharePerSecond = 1.0 / 60;
constexpr double kCallShareBurst = 10;
constexpr double kTotalCallsPerSecond = 50;
constexpr double kTotalCallsBurst = 1000;
// Unknown callers share one gate beyond this many.
constexpr std::size_t kMaxGates = 4096;
// Different records of a caller whose repetitions are counted.
constexpr std::size_t kMaxRepeated = 8;
// For so long a record is only counted if it repeats: first, and when it has repeated.
constexpr Duration kFirstWindow = seconds(60);
constexpr Duration kLaterWindow = seconds(600);
// Between two reports of the number of records that a caller was over its budget.
constexpr Duration kReportPause = seconds(60);

std::string gate_key(const Caller& caller) {
  if (caller.vm) return caller.vm->record.name;
  if (caller.peer.family == net::Address::Family::kVsock) return "CID " + std::to_string(caller.peer.cid);
  return *caller.listener;
}

// Records that differ only in when to retry are equal.
std::string_view without_wait(std::string_view text) { return text.substr(0, text.find("; retry in ")); }

}  // namespace

Audit::Gate::Gate() : share(kSharePerSecond, kShareBurst), budget(kRecordsPerSecond, kRecordsBurst) {}

Audit::CallBudget::CallBudget() : share(kCallSharePerSecond, kCallShareBurst), budget(kCallsPerSecond, kCallsBurst) {}

bool Audit::CallBudget::take(TokenBucket& total, TimePoint now) {
  const bool granted = budget.wait_for(now) == Duration::zero() && total.take(now) == Duration::zero() &&
                       budget.take(now) == Duration::zero();
  return granted || share.take(now) == Duration::zero();
}

bool Audit::CallBudget::is_full(TimePoint now) const { return share.is_full(now) && budget.is_full(now); }

bool Audit::Gate::is_idle(TimePoint now) const {
  return held_back == 0 && calls_left_out == 0 && repeated.empty() && share.is_full(now) && budget.is_full(now) &&
         calls.is_full(now) && programs.is_full(now);
}

Audit::Audit(Journal& journal)
    : journal_(journal),
      total_(kTotalPerSecond, kTotalBurst),
      calls_(kTotalCallsPerSecond, kTotalCallsBurst),
      programs_(kTotalCallsPerSecond, kTotalCallsBurst),
      reports_(kReportsPerSecond, kReportsBurst) {}

Audit::~Audit() {
  for (const auto& [caller, gate] : gates_) {
    for (const auto& repeated : gate.repeated)
      if (repeated.count != 0) write_repeated(caller, repeated, repeated.since + repeated.window);
    if (gate.held_back != 0) write_held_back(caller, gate.held_back);
    if (gate.calls_left_out != 0) write_left_out(caller, gate.calls_left_out);
  }
}

Audit::Gate& Audit::gate_of(const Caller& caller) {
  auto key = gate_key(caller);
  if (gates_.size() >= kMaxGates && !gates_.contains(key)) key = "other callers";
  return gates_[key];
}

bool Audit::may_write(const Caller& caller, const Kind& kind, std::string_view text, TimePoint now) {
  auto& gate = gate_of(caller);
  const auto key = without_wait(text);
  const auto same = std::ranges::find_if(
      gate.repeated, [&](const auto& repeated) { return repeated.kind.id == kind.id && repeated.text == key; });
  if (same != gate.repeated.end()) {
    ++same->count;
    return false;
  }
  const bool granted = gate.share.take(now) == Duration::zero() ||
                       (gate.budget.wait_for(now) == Duration::zero() && total_.take(now) == Duration::zero() &&
                        gate.budget.take(now) == Duration::zero());
  if (!granted)
    ++gate.held_back;
  else if (gate.repeated.size() < kMaxRepeated)
    gate.repeated.push_back({.kind = kind, .text = std::string(key), .since = now, .window = kFirstWindow});
  return granted;
}

void Audit::call_denied(const Caller& caller, std::string_view call, const Verdict& verdict, std::string_view text,
                        TimePoint now) {
  constexpr Kind kKind{Level::kNotice, MessageId::kCallDenied};
  if (!may_write(caller, kKind, text, now)) return;
  const auto rule = verdict.rule == nullptr ? std::string("none") : verdict.rule->place();
  journal_.write(kKind.level, kKind.id, text,
                 {{"VM", caller.name()}, {"CALL", call}, {"RULE", rule}, {"PEER", caller.peer_text()}});
}

bool Audit::takes_call(const Caller& caller, bool is_program, TimePoint now) {
  auto& gate = gate_of(caller);
  const bool granted = is_program ? gate.programs.take(programs_, now) : gate.calls.take(calls_, now);
  if (!granted) ++gate.calls_left_out;
  return granted;
}

void Audit::write_call(const Caller& caller, const CallRecord& call, TimePoint now) {
  const auto past = std::chrono::duration_cast<std::chrono::microseconds>(now - call.began);
  const auto in = std::to_string(call.bytes_in), out = std::to_string(call.bytes_out);
  const bool is_admin = caller.audience == Audience::kAdmin;
  const auto uid = is_admin ? std::to_string(caller.peer.uid) : std::string();
  auto text = (is_admin ? title_of_user(caller.peer.uid) : caller.title()) + " called " + call.call;
  if (!call.resource.empty()) text += " for " + in_quotes(call.resource);
  text += ": " + call.outcome + ", after " + std::to_string(past.count() / 1000) + " ms";
  if (!call.unit.empty()) text += ", " + in + " bytes in, " + out + " bytes out, " + call.unit;
  journal_.write(Level::kInfo, MessageId::kCallMade, text,
                 {{"VM", caller.name()},
                  {"CALL", call.call},
                  {"RESOURCE", call.resource},
                  {"RULE", call.rule},
                  {"OUTCOME", call.outcome},
                  {"DURATION_USEC", std::to_string(past.count())},
                  {"BYTES_IN", in},
                  {"BYTES_OUT", out},
                  {"UNIT", call.unit},
                  {"ARGUMENTS", call.arguments},
                  {"UID", uid},
                  {"PEER", caller.peer_text()}});
}

void Audit::limit_reached(const Caller& caller, std::string_view text, TimePoint now) {
  constexpr Kind kKind{Level::kWarning, MessageId::kLimitReached};
  if (!may_write(caller, kKind, text, now)) return;
  journal_.write(kKind.level, kKind.id, text, {{"VM", caller.name()}, {"PEER", caller.peer_text()}});
}

// Those of one caller are equal whatever its port.
void Audit::caller_refused(const Caller& caller, std::string_view text, TimePoint now) {
  constexpr Kind kKind{Level::kWarning, MessageId::kCallerRefused};
  const auto what = " to " + *caller.listener + ": " + std::string(text);
  if (!may_write(caller, kKind, "refused a connection" + what, now)) return;
  journal_.write(kKind.level, kKind.id, "refused a connection from " + caller.peer_text() + what,
                 {{"VM", caller.name()}, {"PEER", caller.peer_text()}, {"LISTENER", *caller.listener}});
}

void Audit::violation(const Caller& caller, std::string_view text, TimePoint now) {
  constexpr Kind kKind{Level::kWarning, MessageId::kViolation};
  const auto message = caller.title() + " broke the protocol, connection closed: " + std::string(text);
  if (!may_write(caller, kKind, message, now)) return;
  journal_.write(kKind.level, kKind.id, message, {{"VM", caller.name()}, {"PEER", caller.peer_text()}});
}

void Audit::peer_lost(const Caller& caller, std::string_view text, TimePoint now) {
  constexpr Kind kKind{Level::kNotice, MessageId::kPeerLost};
  const auto message = caller.title() + ": connection closed: " + std::string(text);
  if (!may_write(caller, kKind, message, now)) return;
  journal_.write(kKind.level, kKind.id, message, {{"VM", caller.name()}, {"PEER", caller.peer_text()}});
}

// "root (uid 0)", or "uid 1000" of a user of other sources.
std::string Audit::title_of_user(uid_t uid) {
  const auto& name = users_.name_of(uid);
  return name.empty() ? "uid " + std::to_string(uid) : name + " (uid " + std::to_string(uid) + ")";
}

// "root (uid 0): vm add "web1": done"
void Audit::action(const Caller& caller, const Action& action, const wire::Status& outcome) {
  const auto uid = std::to_string(caller.peer.uid);
  const auto what = action.verb + (action.object.empty() ? "" : " " + in_quotes(action.object)) +
                    (action.how.empty() ? "" : " " + action.how);
  const auto how = outcome.ok() ? std::string("done") : std::string("failed: ").append(outcome.message);
  journal_.write(Level::kNotice, MessageId::kAdminAction, title_of_user(caller.peer.uid) + ": " + what + ": " + how,
                 {{"VM", action.vm},
                  {"UID", uid},
                  {"USER", users_.name_of(caller.peer.uid)},
                  {"VERB", action.verb},
                  {"OBJECT", action.object},
                  {"ARGUMENTS", action.how},
                  {"OUTCOME", outcome.ok() ? "OK" : wire::code_name(outcome.code)},
                  {"PEER", caller.peer_text()}});
}

void Audit::write_repeated(const std::string& caller, const Repeated& repeated, TimePoint now) {
  const auto count = std::to_string(repeated.count);
  const auto past = std::to_string(std::chrono::round<seconds>(now - repeated.since).count());
  journal_.write(repeated.kind.level, repeated.kind.id,
                 repeated.text + " (" + count + " more times within " + past + " s)",
                 {{"VM", caller}, {"COUNT", count}});
}

void Audit::write_held_back(const std::string& caller, std::uint64_t count) {
  const auto text = std::to_string(count);
  journal_.write(Level::kWarning, MessageId::kRecordsLost,
                 text + " more records about " + caller + " were dropped: it or all callers together cause too many",
                 {{"VM", caller}, {"COUNT", text}});
}

void Audit::write_left_out(const std::string& caller, std::uint64_t count) {
  const auto text = std::to_string(count);
  journal_.write(Level::kInfo, MessageId::kCallMade,
                 text + " more calls of " + caller + " were made, but not recorded: they are too many",
                 {{"VM", caller}, {"COUNT", text}});
}

// What the budget of reports does not allow now is reported later, beginning with this caller.
bool Audit::may_report(const std::string& caller, TimePoint now) {
  if (reports_.take(now) == Duration::zero()) return true;
  if (next_reported_.empty()) next_reported_ = caller;
  return false;
}

void Audit::report_repeated(const std::string& caller, Gate& gate, TimePoint now) {
  for (auto& repeated : gate.repeated) {
    if (repeated.count == 0 || now - repeated.since < repeated.window || !may_report(caller, now)) continue;
    write_repeated(caller, repeated, now);
    repeated.count = 0;
    repeated.since = now;
    repeated.window = kLaterWindow;
  }
  std::erase_if(gate.repeated,
                [now](const auto& repeated) { return repeated.count == 0 && now - repeated.since >= repeated.window; });
}

void Audit::report_held_back(const std::string& caller, Gate& gate, TimePoint now) {
  if (gate.held_back == 0 && gate.calls_left_out == 0) return;
  if (now < gate.reported + kReportPause || !may_report(caller, now)) return;
  if (gate.held_back != 0) write_held_back(caller, std::exchange(gate.held_back, 0));
  if (gate.calls_left_out != 0) write_left_out(caller, std::exchange(gate.calls_left_out, 0));
  gate.reported = now;
}

void Audit::flush(TimePoint now) {
  const auto begin = std::exchange(next_reported_, {});
  for (auto it = gates_.lower_bound(begin); it != gates_.end();) it = flush(it, now);
  for (auto it = gates_.begin(); it != gates_.end() && it->first < begin;) it = flush(it, now);
}

Audit::Gates::iterator Audit::flush(Gates::iterator at, TimePoint now) {
  auto& [caller, gate] = *at;
  report_repeated(caller, gate, now);
  report_held_back(caller, gate, now);
  return gate.is_idle(now) ? gates_.erase(at) : std::next(at);
}

}  // namespace hostcall::daemon
