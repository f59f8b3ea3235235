#include "daemon/config/policy.h"

#include <algorithm>
#include <set>

#include "proto/base/count.h"
#include "proto/base/escape.h"
#include "proto/net/address.h"

namespace hostcall::daemon {
namespace {

constexpr std::size_t kMaxName = 256;
constexpr std::size_t kMaxResource = 128;  // the most bytes of a resource in messages

std::vector<std::string> vm_patterns(const VmRecord& vm) {
  std::vector<std::string> patterns{std::string(kAny), vm.name};
  for (const auto& tag : vm.tags) patterns.push_back(std::string(kTagPrefix) + tag);
  return patterns;
}

bool is_conditional(const Rule& rule) { return rule.require_privileged_port || !rule.resources.empty(); }

std::string allowed_text(const Rule& rule, Reader reader) {
  auto text = " is allowed by " + place_of(rule, reader);
  if (rule.rate > 0)
    text += ", at most " + plain_number(rule.rate) + " calls/s, " + plain_number(rule.burst) + " at once";
  return text;
}

std::string denied_text(const VmRecord& vm, const Verdict& verdict, Reader reader) {
  std::string text = verdict.rule == nullptr ? " is denied: no rule matches VM, call and resource"
                                             : " is denied by " + place_of(*verdict.rule, reader);
  if (verdict.unmet != nullptr) {
    text += "; " + place_of(*verdict.unmet, reader) + " would allow it from a source port below " +
            std::to_string(net::kPrivilegedPorts);
    if (vm.cid != 0) return text + " (as root of the VM: hostcall --privileged-port)";
    text += ", which only a VM with a CID has";
  }
  text += verdict.rule == nullptr ? "; to allow it, add a rule" : "; to allow it, add a rule before that one";
  return reader == Reader::kExplain ? text : text + " (see hostcallctl policy explain)";
}

}  // namespace

// ---------------------------------------------------------------- one method of one VM

void MethodPolicy::add(const RuleTable& table) {
  tables_.push_back(&table);
  const auto* first = table.rules().front();
  if (first_ == nullptr || first->index < first_->index) first_ = first;
  sole_ = is_conditional(*first_) ? nullptr : first_;
}

const Rule* MethodPolicy::first_match(const CallQuery& query, RuleTable::Want want, const Rule* before,
                                      std::size_t& looked_at) const {
  for (const auto* table : tables_) before = table->first_match(query, want, before, looked_at);
  return before;
}

Verdict MethodPolicy::decide_in_order(const CallQuery& query) const {
  using Want = RuleTable::Want;
  Verdict verdict;
  verdict.rule = first_match(query, Want::kDeciding, nullptr, verdict.looked_at);
  verdict.allowed = verdict.rule != nullptr && verdict.rule->allow;
  if (verdict.allowed || query.privileged_port) return verdict;
  const auto* unmet = first_match(query, Want::kUnmet, verdict.rule, verdict.looked_at);
  if (unmet != verdict.rule) verdict.unmet = unmet;
  return verdict;
}

std::vector<const Rule*> MethodPolicy::listed(bool privileged_port, std::size_t& looked_at) const {
  std::vector<const Rule*> rules;
  for (const auto* table : tables_) {
    const auto& listed = table->listed(privileged_port);
    rules.insert(rules.end(), listed.begin(), listed.end());
  }
  looked_at += rules.size();
  std::ranges::sort(rules, {}, &Rule::index);
  // Not std::ranges::unique(): clang 14 does not compile the subrange of g++ 12's library.
  rules.erase(std::unique(rules.begin(), rules.end()), rules.end());
  const auto last = std::ranges::find_if(rules, [](const Rule* rule) { return rule->resources.empty(); });
  if (last != rules.end()) rules.erase(last + 1, rules.end());
  return rules;
}

// ---------------------------------------------------------------- all rules

Policy Policy::read(const std::vector<std::string>& directories) {
  Policy policy;
  std::set<std::string> names;
  for (const auto& directory : directories)
    for (const auto& path : json_files(directory))
      if (names.insert(path.substr(directory.size())).second) policy.add(JsonValue::read(path));
  policy.build();
  return policy;
}

Policy Policy::parse(const std::vector<File>& files) {
  Policy policy;
  for (const auto& file : files) policy.add(JsonValue::parse(file.name, file.text));
  policy.build();
  return policy;
}

void Policy::add(const JsonValue& file) {
  file.allow_keys({"rules"});
  for (const auto& object : file.at("rules").elements()) {
    auto rule = read_rule(object);
    rule.index = static_cast<std::uint32_t>(rules_.size());
    rules_.push_back(std::move(rule));
  }
  ++files_;
}

void Policy::build() {
  std::unordered_map<std::string_view, std::size_t> expected;  // tables by call pattern, so that none is moved later
  for (const auto& rule : rules_)
    for (const auto& call : rule.calls) expected[call] += rule.vms.size();
  for (const auto& [call, tables] : expected) tables_[std::string(call)].reserve(tables);
  for (const auto& rule : rules_) {
    for (const auto& call : rule.calls) {
      auto& tables = tables_[call];
      for (const auto& vm : rule.vms) tables[vm].add(rule);
    }
    if (rule.rate > 0) rates_.insert(rule.fingerprint);
  }
  for (auto& [call, tables] : tables_)
    for (auto& [vm, table] : tables) table.build();
}

const RuleTable* Policy::table(std::string_view vm_pattern, std::string_view call_pattern) const {
  const auto tables = tables_.find(call_pattern);
  if (tables == tables_.end()) return nullptr;
  const auto at = tables->second.find(vm_pattern);
  return at == tables->second.end() ? nullptr : &at->second;
}

MethodPolicy Policy::for_method(const VmRecord& vm, std::string_view method) const {
  MethodPolicy result;
  for (const auto& call : call_patterns(method))
    for (const auto& pattern : vm_patterns(vm))
      if (const auto* found = table(pattern, call)) result.add(*found);
  return result;
}

// ---------------------------------------------------------------- texts

std::string place_of(const Rule& rule, Reader reader) {
  return reader == Reader::kGuest ? rule.short_place() : rule.place();
}

std::string verdict_text(const VmRecord& vm, const CallQuery& query, const Verdict& verdict, Reader reader) {
  auto text = "VM \"" + vm.name + "\": " + escape(query.method, kMaxName);
  if (!query.resource.empty()) text += " on " + in_quotes(query.resource, kMaxResource);
  return text + (verdict.allowed ? allowed_text(*verdict.rule, reader) : denied_text(vm, verdict, reader));
}

}  // namespace hostcall::daemon
