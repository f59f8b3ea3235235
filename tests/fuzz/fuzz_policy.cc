// Fuzzes policy files: one that is accepted decides every call as a walk through its rules does, from the first to the
// last; and what it tells guests names no directory of the host.
//
// Input: a line end and the text of the file, or choices; see config_text.h.
#include <algorithm>

#include "daemon/config/glob.h"
#include "daemon/config/policy_warnings.h"
#include "tests/fuzz/config_text.h"

namespace hostcall::fuzz {
namespace {

using daemon::CallQuery;
using daemon::Policy;
using daemon::Rule;
using daemon::VmRecord;

constexpr char kDirectory[] = "/etc/hostcall/policy.d/";
constexpr std::string_view kKeys[] = {"rules",  "vms",  "calls", "resources", "require",
                                      "action", "rate", "burst", "unknown"};
constexpr std::string_view kValues[] = {"*",
                                        "web1",
                                        "db1",
                                        "tag:web",
                                        "tag:none",
                                        "allow",
                                        "deny",
                                        "privileged-port",
                                        "hostcall.v1.Store/Get",
                                        "hostcall.v1.Store/*",
                                        "hostcall.v1.Host/Info",
                                        "hostcall.v1.Host/Inof",
                                        "/self/**",
                                        "/self/a",
                                        "/shared/*/b",
                                        "/shared/[a-c]?",
                                        "[",
                                        ""};
constexpr std::string_view kMethods[] = {"hostcall.v1.Store/Get", "hostcall.v1.Store/Put", "hostcall.v1.Host/Info"};
constexpr std::string_view kResources[] = {"", "/self/a", "/self/a/b", "/shared/c/b", "/shared/bb"};

const std::vector<VmRecord>& vms() {
  static const std::vector<VmRecord> kVms = {{.name = "web1", .tags = {"web", "none"}}, {.name = "db1"}};
  return kVms;
}

bool names_vm(const Rule& rule, const VmRecord& vm) {
  return std::ranges::any_of(rule.vms, [&](const std::string& pattern) {
    return pattern == "*" || pattern == vm.name ||
           std::ranges::any_of(vm.tags, [&](const std::string& tag) { return pattern == "tag:" + tag; });
  });
}

bool names_call(const Rule& rule, std::string_view method) {
  return std::ranges::any_of(rule.calls, [&](std::string_view pattern) {
    if (pattern == "*" || pattern == method) return true;
    return pattern.ends_with("/*") && method.starts_with(pattern.substr(0, pattern.size() - 1));
  });
}

bool names_resource(const Rule& rule, std::string_view resource) {
  return rule.resources.empty() || std::ranges::any_of(rule.resources, [&](const std::string& glob) {
           return !resource.empty() && daemon::glob_matches(glob, resource);
         });
}

// The rule that decides, found by walking.
const Rule* first_match(const Policy& policy, const VmRecord& vm, const CallQuery& query) {
  const auto& rules = policy.rules();
  const auto found = std::ranges::find_if(rules, [&](const Rule& rule) {
    return names_vm(rule, vm) && names_call(rule, query.method) && names_resource(rule, query.resource) &&
           (query.privileged_port || !rule.require_privileged_port);
  });
  return found == rules.end() ? nullptr : &*found;
}

void check(const Policy& policy, const VmRecord& vm, const CallQuery& query) {
  const auto verdict = policy.decide(vm, query);
  const auto* expected = first_match(policy, vm, query);
  require(verdict.rule == expected, "the first rule that matches decides");
  require(verdict.allowed == (expected != nullptr && expected->allow), "what no rule allows is denied");
  require(verdict.unmet == nullptr || (!verdict.allowed && verdict.unmet->allow), "an unmet rule would have allowed");
  for (const auto reader : {daemon::Reader::kGuest, daemon::Reader::kOperator, daemon::Reader::kExplain}) {
    const auto text = daemon::verdict_text(vm, query, verdict, reader);
    require(is_plain(text) && text.size() <= kMaxToldText, "a verdict is plain text");
    require(reader != daemon::Reader::kGuest || text.find(kDirectory) == text.npos,
            "guests learn no directory of the host");
  }
}

void check(const Policy& policy) {
  daemon::KnownNames known;
  for (const auto& vm : vms()) known.add(vm);
  for (const auto method : kMethods)
    known.methods.push_back({.name = std::string(method), .has_resource = method.find("Store") != method.npos});
  constexpr std::size_t kMaxWarnings = 101;
  require(daemon::policy_warnings(policy, known).size() <= kMaxWarnings, "warnings are bounded");
  for (const auto& vm : vms())
    for (const auto method : kMethods) {
      for (const bool privileged : {false, true}) {
        std::size_t looked_at = 0;
        (void)policy.for_method(vm, method).listed(privileged, looked_at);
      }
      for (const auto resource : kResources)
        for (const bool privileged : {false, true})
          check(policy, vm, {.method = method, .resource = resource, .privileged_port = privileged});
    }
}

}  // namespace
}  // namespace hostcall::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  using namespace hostcall::fuzz;
  Choices choices(bytes, size);
  const auto text = config_text(choices, {kKeys, kValues});
  check_config(kDirectory, [&] { check(Policy::parse({{std::string(kDirectory) + "10-fuzz.json", text}})); });
  return 0;
}
