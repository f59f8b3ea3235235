// Audit: journals what the operator must know about callers: denied calls, reached limits, refused callers, protocol
// violations. Each caller has a budget of records; the audit counts the rest and reports the count, so that a hostile
// guest can neither flood the journal nor hide in it.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "daemon/config/policy.h"
#include "daemon/loop/journal.h"
#include "daemon/vms/caller.h"
#include "daemon/vms/quota.h"

namespace hostcall::daemon {

class Audit {
 public:
  explicit Audit(Journal& journal) : journal_(journal) {}

  // `call`: the method's name. `text`: the text that the guest gets.
  void call_denied(const Caller& caller, std::string_view call, const Verdict& verdict, std::string_view text,
                   TimePoint now);
  void limit_reached(const Caller& caller, std::string_view text, TimePoint now);
  void caller_refused(const Caller& caller, std::string_view text, TimePoint now);
  void violation(const Caller& caller, std::string_view text, TimePoint now);

  // Reports the numbers of dropped records and forgets quiet callers. Call every few seconds.
  void flush(TimePoint now);

 private:
  struct Gate {
    TokenBucket bucket;
    std::uint64_t held_back = 0;
  };
  bool may_write(const Caller& caller, TimePoint now);
  void report(const std::string& caller, Gate& gate);

  Journal& journal_;
  std::map<std::string, Gate> gates_;
};

}  // namespace hostcall::daemon
