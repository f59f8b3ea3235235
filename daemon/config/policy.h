// Policy: which VM may make which call. The first rule that matches decides; no match denies. Immutable once parsed: a
// reload makes a new one.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "daemon/config/rule.h"
#include "daemon/config/rule_table.h"
#include "daemon/config/vm_record.h"

namespace hostcall::daemon {

struct Verdict {
  bool allowed = false;
  const Rule* rule = nullptr;  // null: no rule matched
  // Set only in a denial: the first rule that would have allowed the call if it had met the rule's `require`.
  const Rule* unmet = nullptr;
  std::size_t looked_at = 0;  // rules that it took
};

// The tables of the rules that can match one VM's calls to one method. Looked up once and kept, so that deciding a call
// does not look for them. Points into its Policy.
class MethodPolicy {
 public:
  // Fast path: for a method without resources and a VM that always meets `require`, the first rule decides.
  Verdict decide(const CallQuery& query) const {
    return sole_ ? Verdict{.allowed = sole_->allow, .rule = sole_, .looked_at = 1} : decide_in_order(query);
  }
  // What a list of what is allowed needs of the rules; see RuleTable::listed(). Its length is bounded by the number of
  // tables, not of rules. Adds to `looked_at` the number of rules that it took.
  std::vector<const Rule*> listed(bool privileged_port, std::size_t& looked_at) const;

 private:
  friend class Policy;
  void add(const RuleTable& table);
  const Rule* first_match(const CallQuery& query, RuleTable::Want want, const Rule* before,
                          std::size_t& looked_at) const;
  Verdict decide_in_order(const CallQuery& query) const;

  const Rule* first_ = nullptr;
  const Rule* sole_ = nullptr;  // the first rule if it always matches
  std::vector<const RuleTable*> tables_;
};

class Policy {
 public:
  // Reads every *.json of each directory, in this order; a file's name hides the same name in later directories. Throws
  // ConfigError.
  static Policy read(const std::vector<std::string>& directories);
  struct File {
    std::string name, text;
  };
  // Parses files given as text, in order; throws ConfigError.
  static Policy parse(const std::vector<File>& files);

  Policy() = default;
  Policy(Policy&&) = default;
  Policy& operator=(Policy&&) = default;

  const std::vector<Rule>& rules() const { return rules_; }
  std::size_t files() const { return files_; }

  // Points into this Policy, which must outlive it.
  MethodPolicy for_method(const VmRecord& vm, std::string_view method) const;
  Verdict decide(const VmRecord& vm, const CallQuery& query) const {
    return for_method(vm, query.method).decide(query);
  }
  // Whether a rule with a rate has this fingerprint.
  bool has_rate(std::uint64_t fingerprint) const { return rates_.contains(fingerprint); }
  // Null: no rule has both patterns.
  const RuleTable* table(std::string_view vm_pattern, std::string_view call_pattern) const;

 private:
  void add(const JsonValue& file);
  // Call once, after the last add().
  void build();

  std::vector<Rule> rules_;
  // Both can be searched by a std::string_view.
  struct HashText {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>()(text); }
  };
  template <class Value>
  using ByText = std::unordered_map<std::string, Value, HashText, std::equal_to<>>;
  ByText<ByText<RuleTable>> tables_;         // by call pattern, then by VM pattern; point into rules_
  std::unordered_set<std::uint64_t> rates_;  // fingerprints
  std::size_t files_ = 0;
};

// For whom a text is. A guest must not learn paths of its host. kExplain: an operator who has asked for it with
// `policy explain`.
enum class Reader : std::uint8_t { kGuest, kOperator, kExplain };

// What a denied guest, the audit record and `policy explain` show: the verdict, the file and line that decided, and for
// a denial what the administrator can do.
std::string verdict_text(const VmRecord& vm, const CallQuery& query, const Verdict& verdict, Reader reader);
// The place of a rule: for the guest without the file's directory.
std::string place_of(const Rule& rule, Reader reader);

}  // namespace hostcall::daemon
