#include "daemon/config/policy_warnings.h"

#include <algorithm>
#include <map>
#include <utility>

#include "daemon/config/glob.h"
#include "daemon/config/nearest.h"

namespace hostcall::daemon {
namespace {

// Files before this one are there to override it.
constexpr std::string_view kDefaultPolicy = "50-default.json:";
constexpr std::size_t kMaxWarnings = 100;
// So many warnings say what may have been meant, because each search goes through all names.
constexpr int kMaxSuggestions = 10;
// So many rules are looked at for those that cover others: thousands with the same start of their resources would be
// compared with each other.
constexpr std::size_t kMostLookedAt = 2'000'000;

// What these calls are about is a service of services.d; what all others are about is a key.
constexpr std::string_view kCallsOfServices[] = {"hostcall.v1.Relay", "hostcall.v1.Run"};

// A VM has keys in these places.
constexpr std::string_view kKeyPlaces[] = {"/self/", "/shared/"};
constexpr std::string_view kBadParts[] = {"//", "/./", "/../"};

// Empty: some key of a VM can match the pattern. Else why none can.
std::string why_no_key_matches(std::string_view glob) {
  if (std::ranges::none_of(kKeyPlaces, [&](std::string_view place) { return glob_matches_below(glob, place); }))
    return "a VM's keys are below /self/ and /shared/";
  const auto start = literal_start(glob);
  const auto path = std::string(start) + (start == glob && !start.ends_with('/') ? "/" : "");
  const bool has_bad_part =
      std::ranges::any_of(kBadParts, [&](std::string_view part) { return path.find(part) != std::string::npos; });
  return has_bad_part ? "no part of a key is empty, \".\" or \"..\"" : "";
}

std::string_view service_of(std::string_view call) { return call.substr(0, call.find('/')); }

bool is_of_services(std::string_view method) {
  return std::ranges::find(kCallsOfServices, service_of(method)) != std::end(kCallsOfServices);
}

// Of a service whose methods are not known, the method is "SERVICE/*".
bool matches(std::string_view call_pattern, std::string_view method) {
  if (call_pattern == kAny || call_pattern == method) return true;
  return (call_pattern.ends_with("/*") || method.ends_with("/*")) && service_of(call_pattern) == service_of(method);
}

// Which rules cover parts of one rule, and so all of it.
using Covers = std::set<const Rule*>;

class Linter {
 public:
  Linter(const Policy& policy, const KnownNames& known) : policy_(policy), known_(known) {
    for (const auto& method : known.methods) {
      calls_.insert(method.name);
      calls_.insert(std::string(service_of(method.name)) + "/*");
    }
  }

  std::vector<std::string> run() {
    for (const auto& rule : policy_.rules()) {
      check_calls(rule);
      check_vms(rule);
      check_cover(rule);
    }
    if (more_ != 0) warnings_.push_back("and " + std::to_string(more_) + " more warnings about policy");
    return std::move(warnings_);
  }

 private:
  void warn(const Rule& rule, const std::string& text) {
    if (warnings_.size() < kMaxWarnings)
      warnings_.push_back(rule.place() + ": " + text);
    else
      ++more_;
  }

  // "; did you mean …?", or nothing.
  std::string suggestion(std::string_view wrong, const KnownNames::Names& names) {
    if (warnings_.size() >= kMaxWarnings || suggestions_ == kMaxSuggestions) return {};
    ++suggestions_;
    const auto near = nearest(wrong, names);
    return near.empty() ? std::string() : "; did you mean \"" + near + "\"?";
  }

  // What is known of the calls that a pattern names.
  struct CallFacts {
    bool exists = false;
    bool for_guests = false;
    bool has_key = false;      // is about a key
    bool has_service = false;  // is about a service of services.d
  };
  const CallFacts& facts_of(const std::string& call) {
    const auto [at, is_new] = facts_.try_emplace(call);
    auto& facts = at->second;
    if (!is_new) return facts;
    for (const auto& method : known_.methods) {
      if (!matches(call, method.name)) continue;
      facts.exists = true;
      facts.for_guests = facts.for_guests || method.for_guests;
      if (!method.has_resource) continue;
      (is_of_services(method.name) ? facts.has_service : facts.has_key) = true;
    }
    return facts;
  }

  void check_calls(const Rule& rule) {
    CallFacts any;
    for (const auto& call : rule.calls) {
      const auto& facts = facts_of(call);
      any.exists |= facts.exists;
      any.has_key |= facts.has_key;
      any.has_service |= facts.has_service;
      if (!facts.exists)
        warn(rule, std::string(call.ends_with("/*") ? "no service is" : "no method is") + " named \"" + call +
                       "\", so the rule never matches it" + suggestion(call, calls_));
      else if (!facts.for_guests && rule.allow)
        warn(rule, "no rule can allow \"" + call +
                       "\" to a VM: the host serves it to administrators only, on a socket of its own");
    }
    if (any.has_key || any.has_service) {
      for (const auto& glob : rule.resources) check_resource(rule, glob, any);
    } else if (any.exists && !rule.resources.empty()) {
      warn(rule, "none of the rule's calls is about a resource, so with \"resources\" it never matches");
    }
  }

  // One that nothing can match which the calls are about. Patterns may be for services to come.
  void check_resource(const Rule& rule, const std::string& glob, const CallFacts& calls) {
    const auto why = why_no_key_matches(glob);
    if (calls.has_key && why.empty()) return;
    const bool is_path = glob.find('/') != std::string::npos && glob.find('[') == std::string::npos;
    if (calls.has_key && (is_path || !calls.has_service))
      return warn(rule, "no key of a VM matches \"" + glob + "\": " + why);
    if (is_path) return warn(rule, "no service matches \"" + glob + "\": the name of a service has no \"/\"");
    if (literal_start(glob) != glob || known_.services.contains(glob)) return;
    warn(rule, "services.d has no service \"" + glob + "\", so this entry matches nothing" +
                   suggestion(glob, known_.services));
  }

  void check_vms(const Rule& rule) {
    for (const std::string_view pattern : rule.vms) {
      if (pattern == kAny) continue;
      const bool is_tag = pattern.starts_with(kTagPrefix);
      const auto name = is_tag ? pattern.substr(kTagPrefix.size()) : pattern;
      const auto& names = is_tag ? known_.tags : known_.vms;
      if (names.contains(name)) continue;
      warn(rule, std::string(is_tag ? "no VM has the tag \"" : "no VM is named \"") + std::string(name) +
                     "\" at present, so this entry matches nothing" + suggestion(name, names));
    }
  }

  void check_cover(const Rule& rule) {
    if (rule.short_place().starts_with(kDefaultPolicy)) return;
    if (looked_at_ > kMostLookedAt) return note_unlooked(rule);
    Covers covers;
    for (const auto& vm : rule.vms)
      for (const auto& call : rule.calls) {
        if (!facts_of(call).exists) return;  // has a warning already
        if (!find_covers(rule, vm, call, covers)) return;
      }
    std::string places;
    for (const auto* cover : covers) places += (places.empty() ? "" : " and ") + cover->place();
    warn(rule, "this rule has no effect: " + places + (covers.size() == 1 ? " matches" : " match") +
                   " every call that it would match");
  }

  void note_unlooked(const Rule& rule) {
    if (!std::exchange(says_unlooked_, true))
      warn(rule,
           "from here on, no rule was checked for earlier ones that leave it nothing to decide: too many have "
           "resources with the same beginning");
  }

  // False: no rule before this one decides all calls of this part of it.
  bool find_covers(const Rule& rule, const std::string& vm, const std::string& call, Covers& covers) {
    if (rule.resources.empty()) return find_cover(rule, vm, call, {}, covers);
    return std::ranges::all_of(rule.resources,
                               [&](const auto& glob) { return find_cover(rule, vm, call, glob, covers); });
  }
  bool find_cover(const Rule& rule, const std::string& vm, const std::string& call, std::string_view glob,
                  Covers& covers) {
    const Rule* found = nullptr;
    for (const auto& wider_call : wider_calls(call))
      for (const std::string_view wider_vm : {kAny, std::string_view(vm)})
        if (const auto* table = found == nullptr ? policy_.table(wider_vm, wider_call) : nullptr)
          found = table->first_cover(rule, glob, looked_at_);
    if (found != nullptr) covers.insert(found);
    return found != nullptr;
  }
  // The patterns that match whatever this one does.
  static std::vector<std::string> wider_calls(const std::string& call) {
    if (call == kAny) return {call};
    auto patterns = call_patterns(call);
    if (call.ends_with("/*")) patterns.erase(patterns.begin());
    return patterns;
  }

  const Policy& policy_;
  const KnownNames& known_;
  KnownNames::Names calls_;
  std::map<std::string, CallFacts> facts_;
  std::vector<std::string> warnings_;
  std::size_t more_ = 0;
  int suggestions_ = 0;
  std::size_t looked_at_ = 0;  // by find_cover()
  bool says_unlooked_ = false;
};

}  // namespace

void KnownNames::add(const VmRecord& vm) {
  vms.insert(vm.name);
  tags.insert(vm.tags.begin(), vm.tags.end());
}

// A service that is disabled has a warning of its own.
void KnownNames::add(const Services& of_files) {
  for (const auto& service : of_files.all()) {
    if (service->routed() == nullptr) services.insert(service->name);
    for (auto& method : service->method_names()) methods.push_back({.name = std::move(method)});
  }
  for (const auto& disabled : of_files.disabled())
    if (!disabled.name.empty()) services.insert(disabled.name);
}

std::vector<std::string> policy_warnings(const Policy& policy, const KnownNames& known) {
  return Linter(policy, known).run();
}

}  // namespace hostcall::daemon
