// Audit: records what callers do that the operator must know. A record is written at once, and then only counted as
// long as it repeats. Each caller has a budget, and all together have one, so that no number of guests fills the disk;
// what is over them is counted and reported.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/config/policy.h"
#include "daemon/loop/journal.h"
#include "daemon/vms/caller.h"
#include "daemon/vms/local_users.h"
#include "daemon/vms/quota.h"

namespace hostcall::daemon {

// A call that policy allowed and that has ended.
struct CallRecord {
  std::string call;      // the method's name
  std::string resource;  // empty: none
  std::string rule;      // its place
  std::string outcome;   // "OK", "exit code 3", "CANCELLED"
  TimePoint began{};
  bool is_program = false;  // which has a budget of its own
  // Of Run and Relay:
  std::string unit;       // of the program, or the socket's address
  std::string arguments;  // SHA-256 of the program's, hexadecimal
  std::uint64_t bytes_in = 0, bytes_out = 0;
};

// What an administrator asked for, which changes something.
struct Action {
  std::string verb;    // as hostcallctl names it: "vm add"
  std::string object;  // what it is about: "web1"; empty: the whole daemon
  std::string vm;      // the VM that it is about; empty: none
  std::string how;     // what else was asked for: "--tag prod"
};

class Audit {
 public:
  explicit Audit(Journal& journal);
  // Reports all that has only been counted.
  ~Audit();
  Audit(const Audit&) = delete;
  Audit& operator=(const Audit&) = delete;

  // `call`: the method's name. `text`: for the operator, with whole paths.
  void call_denied(const Caller& caller, std::string_view call, const Verdict& verdict, std::string_view text,
                   TimePoint now);
  // Has budgets beside that of the other records, one for programs and one for other calls, so that none hides the
  // other: 10 records/s per caller, burst 100; 50 records/s for all, burst 1,000; and beside these, 10 and one a minute
  // are the caller's own. Those over them are counted and reported.
  void call_made(const Caller& caller, const CallRecord& call, TimePoint now) {
    if (takes_call(caller, call.is_program, now)) write_call(caller, call, now);
  }
  // The same in two steps, because to make a record that is only counted costs more than to count it.
  bool takes_call(const Caller& caller, bool is_program, TimePoint now);
  void write_call(const Caller& caller, const CallRecord& call, TimePoint now);
  void limit_reached(const Caller& caller, std::string_view text, TimePoint now);
  void caller_refused(const Caller& caller, std::string_view text, TimePoint now);
  void violation(const Caller& caller, std::string_view text, TimePoint now);
  // What an administrator did or tried. Without a budget: nobody else can cause these.
  void action(const Caller& caller, const Action& action, const wire::Status& outcome);
  // The daemon ends the connection because the peer did nothing for too long.
  void peer_lost(const Caller& caller, std::string_view text, TimePoint now);

  // Reports what has only been counted for long enough, and forgets quiet callers. Call every few seconds.
  void flush(TimePoint now);

 private:
  struct Kind {
    Level level;
    MessageId id;
  };
  // A record that was written, and how often it has come again since.
  struct Repeated {
    Kind kind;
    std::string text;
    TimePoint since;  // when it was written last
    Duration window;  // from then on it is only counted for so long
    std::uint64_t count = 0;
  };
  // One caller's records of call_made().
  struct CallBudget {
    CallBudget();
    bool take(TokenBucket& total, TimePoint now);
    bool is_full(TimePoint now) const;
    TokenBucket share;  // of its own
    TokenBucket budget;
  };
  // One caller's records.
  struct Gate {
    Gate();
    bool is_idle(TimePoint now) const;
    TokenBucket share;  // of its own: not taken off the budget of all
    TokenBucket budget;
    CallBudget calls, programs;
    std::uint64_t held_back = 0;
    std::uint64_t calls_left_out = 0;       // of call_made()
    TimePoint reported = TimePoint::min();  // the number of those
    std::vector<Repeated> repeated;
  };

  using Gates = std::map<std::string, Gate>;

  Gate& gate_of(const Caller& caller);
  std::string title_of_user(uid_t uid);
  // Whether to write the record now. Counts it if not.
  bool may_write(const Caller& caller, const Kind& kind, std::string_view text, TimePoint now);
  bool may_report(const std::string& caller, TimePoint now);
  void report_repeated(const std::string& caller, Gate& gate, TimePoint now);
  void report_held_back(const std::string& caller, Gate& gate, TimePoint now);
  void write_repeated(const std::string& caller, const Repeated& repeated, TimePoint now);
  void write_held_back(const std::string& caller, std::uint64_t count);
  void write_left_out(const std::string& caller, std::uint64_t count);

  // The gate after it.
  Gates::iterator flush(Gates::iterator at, TimePoint now);

  Journal& journal_;
  LocalUsers users_;
  TokenBucket total_;  // records
  TokenBucket calls_;  // records of call_made(), without programs
  TokenBucket programs_;
  TokenBucket reports_;  // of what was only counted
  Gates gates_;
  std::string next_reported_;  // the caller with whom the next flush begins; empty: the first
};

}  // namespace hostcall::daemon
