// Policy: which VM may make which call. The first match wins; no match denies. Immutable once parsed: a reload makes a
// new one.
//
// A file of policy.d: {"rules": [{"vms": ["web1", "tag:web", "*"], "calls": ["hostcall.v1.Host/Info"],
//   "resources": ["/self/*"], "require": ["privileged-port"], "action": "allow", "rate": 10, "burst": 20}]}
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/config/glob.h"
#include "daemon/config/json_file.h"
#include "daemon/config/vm_record.h"

namespace hostcall::daemon {

struct Rule {
  std::vector<std::string> vms;        // names, "tag:NAME", or "*"
  std::vector<std::string> calls;      // "pkg.Service/Method", "pkg.Service/*" or "*"
  std::vector<std::string> resources;  // globs; empty: any resource
  bool require_privileged_port = false;
  bool allow = false;
  double rate = 0;   // calls per second for each VM; 0: not limited
  double burst = 0;  // at least 1 if rate is set
  std::string file;  // the rule's place
  unsigned line = 0;
  std::uint32_t index = 0;  // position among all rules, from 0
};

// The call that policy decides.
struct CallQuery {
  std::string_view method;    // "hostcall.v1.Host/Info"
  std::string_view resource;  // empty: the call has none
  bool privileged_port = false;
};

struct Verdict {
  bool allowed = false;
  const Rule* rule = nullptr;  // null: no rule matched
  // Set only in a denial: the first rule that would have allowed the call if it had met the rule's `require`.
  const Rule* unmet = nullptr;
};

// The rules that can match one VM's calls to one method, in order. Looked up once and cached, so that deciding a call
// does not scan all rules.
class MethodPolicy {
 public:
  // Fast path: for a method without resources and a VM that always meets `require`, the first rule decides.
  Verdict decide(const CallQuery& query) const {
    return sole_ ? Verdict{.allowed = sole_->allow, .rule = sole_} : decide_in_order(query);
  }
  const std::vector<const Rule*>& rules() const { return rules_; }

 private:
  friend class Policy;
  Verdict decide_in_order(const CallQuery& query) const;

  const Rule* sole_ = nullptr;      // the first rule if it always matches: then there is no other
  std::vector<const Rule*> rules_;  // up to and including the first that always matches
};

class Policy {
 public:
  // Reads every *.json of a directory; throws ConfigError.
  static Policy read(const std::string& directory);
  struct File {
    std::string name, text;
  };
  // Parses files given as text, in order; throws ConfigError.
  static Policy parse(const std::vector<File>& files);

  const std::vector<Rule>& rules() const { return rules_; }
  std::size_t files() const { return files_; }

  // Points into this Policy, which must outlive it.
  MethodPolicy for_method(const VmRecord& vm, std::string_view method) const;
  Verdict decide(const VmRecord& vm, const CallQuery& query) const {
    return for_method(vm, query.method).decide(query);
  }

 private:
  void add(const JsonValue& file);
  std::vector<Rule> rules_;
  std::size_t files_ = 0;
};

// The text that a denied guest, the audit record and `policy explain` show: the verdict, the file and line that
// decided, and for a denial what the administrator can do.
std::string verdict_text(const VmRecord& vm, const CallQuery& query, const Verdict& verdict);

}  // namespace hostcall::daemon
