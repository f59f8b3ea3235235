#include "daemon/config/rule_table.h"

#include <algorithm>
#include <tuple>

#include "daemon/config/glob.h"

namespace hostcall::daemon {
namespace {

bool is_wanted(const Rule& rule, const CallQuery& query, RuleTable::Want want) {
  if (want == RuleTable::Want::kUnmet) return rule.allow && rule.require_privileged_port && !query.privileged_port;
  return query.privileged_port || !rule.require_privileged_port;
}

// What it takes to match a glob, in rules that are looked at: its time is at worst the product of both lengths.
constexpr std::size_t kStepsPerRule = 256;

bool matches(std::string_view glob, std::string_view text, std::size_t& looked_at) {
  looked_at += glob.size() * text.size() / kStepsPerRule;
  return glob_matches(glob, text);
}

bool comes_before(const Rule& rule, const Rule* other) { return other == nullptr || rule.index < other->index; }

std::size_t common_start(std::string_view a, std::string_view b) {
  return static_cast<std::size_t>(std::ranges::mismatch(a, b).in1 - a.begin());
}

// Whether `rest` matches whatever `glob` matches. False if that is not easy to see.
bool covers(std::string_view rest, std::string_view glob) {
  if (rest == "*") return glob.find('/') == glob.npos && glob.find("**") == glob.npos;
  return rest == "**" || rest == glob;
}

}  // namespace

void RuleTable::build() {
  collect_entries();
  std::ranges::sort(entries_, {}, [](const Entry& entry) { return std::tuple(entry.start, entry.rule->index); });
  make_nodes();
  for (const bool privileged_port : {false, true}) make_list(privileged_port);
}

// Made once, so that a guest that lists again and again does not walk all rules.
void RuleTable::make_list(bool privileged_port) {
  auto& list = listed_[privileged_port];
  for (const auto* rule : rules_) {
    if (rule->require_privileged_port && !privileged_port) continue;
    const bool is_for_any = rule->resources.empty();
    if (is_for_any || (rule->allow && list.size() < kMostListed)) list.push_back(rule);
    if (is_for_any) return;
  }
}

// Leaves out rules for any resource that come after another one with the same or a weaker `require`: they never decide.
void RuleTable::collect_entries() {
  bool privileged_decided = false;
  for (const auto* rule : rules_) {
    for (const std::string_view glob : rule->resources) {
      const auto start = literal_start(glob);
      entries_.push_back({start, glob.substr(start.size()), rule, false});
    }
    if (!rule->resources.empty() || (privileged_decided && rule->require_privileged_port)) continue;
    entries_.push_back({{}, {}, rule, true});
    if (!rule->require_privileged_port) return;
    privileged_decided = true;
  }
}

// A node's ancestors are those nodes before it on whose start its own begins; `open` holds them.
void RuleTable::make_nodes() {
  std::vector<std::uint32_t> open;
  for (std::uint32_t i = 0; i < entries_.size(); ++i) {
    const auto start = entries_[i].start;
    if (nodes_.empty() || nodes_.back().start != start) {
      while (!open.empty() && !start.starts_with(nodes_[open.back()].start)) open.pop_back();
      const auto parent = open.empty() ? kNone : open.back();
      open.push_back(static_cast<std::uint32_t>(nodes_.size()));
      nodes_.push_back({start, i, i, parent});
    }
    nodes_.back().end = i + 1;
  }
}

// All nodes between the one that is looked for and the last one that is not after the text are descendants of it.
std::uint32_t RuleTable::find(std::string_view text, std::size_t& looked_at) const {
  const auto after = std::ranges::upper_bound(nodes_, text, {}, &Node::start);
  auto at = after == nodes_.begin() ? kNone : static_cast<std::uint32_t>(after - nodes_.begin() - 1);
  if (at == kNone) return kNone;
  const auto common = common_start(nodes_[at].start, text);
  for (; at != kNone && nodes_[at].start.size() > common; at = nodes_[at].parent) ++looked_at;
  return at;
}

const Rule* RuleTable::first_in(const Node& node, const CallQuery& query, Want want, const Rule* before,
                                std::size_t& looked_at) const {
  const auto rest = query.resource.substr(node.start.size());
  for (auto i = node.first; i < node.end && comes_before(*entries_[i].rule, before); ++i) {
    const auto& entry = entries_[i];
    ++looked_at;
    // No glob matches a call that is about no resource, not even "**".
    const bool is_met = entry.any || (!query.resource.empty() && matches(entry.rest, rest, looked_at));
    if (is_met && is_wanted(*entry.rule, query, want)) return entry.rule;
  }
  return before;
}

const Rule* RuleTable::first_match(const CallQuery& query, Want want, const Rule* before,
                                   std::size_t& looked_at) const {
  for (auto at = find(query.resource, looked_at); at != kNone; at = nodes_[at].parent)
    before = first_in(nodes_[at], query, want, before, looked_at);
  return before;
}

const Rule* RuleTable::first_cover(const Rule& rule, std::string_view glob, std::size_t& looked_at) const {
  const Rule* found = nullptr;
  for (auto at = find(literal_start(glob), looked_at); at != kNone; at = nodes_[at].parent) {
    const auto& node = nodes_[at];
    for (auto i = node.first; i < node.end && entries_[i].rule->index < rule.index; ++i) {
      const auto& entry = entries_[i];
      ++looked_at;
      if (entry.rule->require_privileged_port && !rule.require_privileged_port) continue;
      if (!comes_before(*entry.rule, found)) break;
      if (!entry.any && (glob.empty() || !covers(entry.rest, glob.substr(node.start.size())))) continue;
      found = entry.rule;
      break;
    }
  }
  return found;
}

}  // namespace hostcall::daemon
