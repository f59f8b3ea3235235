// RuleTable: rules whose VM and call match already, found by the literal start of their resource globs. So the time to
// decide grows with the rules whose start is a start of the resource, not with all of them.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "daemon/config/rule.h"

namespace hostcall::daemon {

// The most resources of a method that a list of what is allowed names.
inline constexpr std::size_t kMostListed = 64;

class RuleTable {
 public:
  // Which of the matching rules are wanted.
  enum class Want : std::uint8_t {
    kDeciding,  // whose `require` the call meets
    kUnmet,     // that would allow the call if it met their `require`
  };

  // In the order of their indexes; the same one again counts once. The rule must outlive the table.
  void add(const Rule& rule) {
    if (rules_.empty() || rules_.back() != &rule) rules_.push_back(&rule);
  }
  // Call once, after the last add().
  void build();

  // In order, each once.
  const std::vector<const Rule*>& rules() const { return rules_; }
  // What a list of what is allowed needs of the rules, for a caller that meets `require` or not, in order: the first
  // that allow some resources, at most kMostListed, and then the first for any resource.
  const std::vector<const Rule*>& listed(bool privileged_port) const { return listed_[privileged_port]; }
  // The first rule that matches and is wanted, if it comes before `before` (null: any), otherwise `before`. Adds to
  // `looked_at` the number of entries that it took; a long pattern that meets a long resource counts as several.
  const Rule* first_match(const CallQuery& query, Want want, const Rule* before, std::size_t& looked_at) const;
  // The first rule before `rule` that decides each call whose resource matches the glob and that meets `rule`'s
  // `require`. Null: none. An empty glob stands for any resource. Adds to `looked_at` the number of entries that it
  // took.
  const Rule* first_cover(const Rule& rule, std::string_view glob, std::size_t& looked_at) const;

 private:
  // A glob of a rule. Empty: any resource.
  struct Entry {
    std::string_view start, rest;  // the glob, cut after its literal start
    const Rule* rule;
    bool any;  // the rule names no resources
  };
  // The entries with one literal start.
  struct Node {
    std::string_view start;
    std::uint32_t first, end;  // in entries_
    std::uint32_t parent;      // the node with the longest start that this one's starts with
  };
  static constexpr std::uint32_t kNone = UINT32_MAX;

  void collect_entries();
  void make_nodes();
  void make_list(bool privileged_port);
  // The node with the longest start that the text starts with, or kNone.
  std::uint32_t find(std::string_view text, std::size_t& looked_at) const;
  const Rule* first_in(const Node& node, const CallQuery& query, Want want, const Rule* before,
                       std::size_t& looked_at) const;

  std::vector<const Rule*> rules_;
  std::vector<Entry> entries_;  // by start, then by rule
  std::vector<Node> nodes_;     // sorted by start
  std::array<std::vector<const Rule*>, 2> listed_;
};

}  // namespace hostcall::daemon
