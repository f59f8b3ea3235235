// Policy: which rule decides, what its text says, which files are refused, and what a decision costs.
#include "daemon/config/policy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "daemon/config/glob.h"
#include "tests/support/allocations.h"
#include "tests/support/compare_times.h"
#include "tests/support/sanitized.h"
#include "tests/support/seed.h"
#include "tests/support/temp_dir.h"
#include "tests/unit/daemon/config_error.h"

namespace hostcall::daemon {
namespace {

using test::error_of;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

VmRecord web1() {
  return {.name = "web1", .uuid = {}, .tags = {"web", "prod"}, .cid = 42, .unix_path = {}, .limits = {}};
}

// One rule a line, the first in line 2.
Policy policy_of(const std::vector<std::string>& rules, const std::string& name = "p.json") {
  std::string text = "{\"rules\": [";
  for (const auto& rule : rules) text += (&rule == rules.data() ? "\n{" : ",\n{") + rule + "}";
  return Policy::parse({{name, text + "]}"}});
}

// The line that decides; 0: none.
unsigned deciding_line(const Policy& policy, const CallQuery& query) {
  const auto verdict = policy.decide(web1(), query);
  return verdict.rule == nullptr ? 0 : verdict.rule->line;
}

std::string text_of(const Policy& policy, const CallQuery& query) {
  return verdict_text(web1(), query, policy.decide(web1(), query), Reader::kOperator);
}

TEST(Policy, NothingMatchedIsDenied) {
  const auto verdict = Policy::parse({}).decide(web1(), {.method = "a.B/C", .resource = {}});
  EXPECT_FALSE(verdict.allowed);
  EXPECT_EQ(verdict.rule, nullptr);
}

TEST(Policy, TheFirstMatchDecides) {
  const auto policy = policy_of({R"("vms": ["db"], "calls": ["*"], "action": "deny")",
                                 R"("vms": ["tag:web"], "calls": ["a.B/C"], "action": "allow")",
                                 R"("vms": ["*"], "calls": ["a.B/*"], "action": "deny")",
                                 R"("vms": ["web1"], "calls": ["*"], "action": "allow")"});
  EXPECT_TRUE(policy.decide(web1(), {.method = "a.B/C", .resource = {}}).allowed);
  EXPECT_EQ(deciding_line(policy, {.method = "a.B/C", .resource = {}}), 3u);
  EXPECT_FALSE(policy.decide(web1(), {.method = "a.B/D", .resource = {}}).allowed);
  EXPECT_EQ(deciding_line(policy, {.method = "a.B/D", .resource = {}}), 4u);
  EXPECT_EQ(deciding_line(policy, {.method = "a.Bx/D", .resource = {}}), 5u)
      << "a.B/* is no prefix of the service's name";
}

TEST(Policy, TagsAndNamesAreNotMistakenForEachOther) {
  const auto policy = policy_of({R"("vms": ["web", "tag:web1"], "calls": ["*"], "action": "allow")"});
  EXPECT_EQ(deciding_line(policy, {.method = "a.B/C", .resource = {}}), 0u);
}

TEST(Policy, ResourcesRestrictARule) {
  const auto policy =
      policy_of({R"("vms": ["*"], "calls": ["s.Store/*"], "resources": ["/self/**", "/shared/*"], "action": "allow")"});
  EXPECT_EQ(deciding_line(policy, {.method = "s.Store/Get", .resource = "/self/a/b"}), 2u);
  EXPECT_EQ(deciding_line(policy, {.method = "s.Store/Get", .resource = "/shared/a"}), 2u);
  EXPECT_EQ(deciding_line(policy, {.method = "s.Store/Get", .resource = "/shared/a/b"}), 0u);
  EXPECT_EQ(deciding_line(policy, {.method = "s.Store/Get", .resource = ""}), 0u);
}

TEST(Policy, NoGlobMatchesACallThatIsAboutNoResource) {
  for (const auto* glob : {"*", "**"}) {
    const auto policy = policy_of(
        {R"("vms": ["*"], "calls": ["*"], "resources": [")" + std::string(glob) + R"("], "action": "allow")"});
    EXPECT_EQ(deciding_line(policy, {.method = "s.Host/Info", .resource = ""}), 0u) << glob;
    EXPECT_EQ(deciding_line(policy, {.method = "s.Store/Get", .resource = "a"}), 2u) << glob;
  }
}

TEST(Policy, RequireRestrictsARule) {
  const auto policy =
      policy_of({R"("vms": ["*"], "calls": ["a.B/C"], "require": ["privileged-port"], "action": "allow")"});
  EXPECT_TRUE(policy.decide(web1(), {.method = "a.B/C", .resource = {}, .privileged_port = true}).allowed);
  EXPECT_FALSE(policy.decide(web1(), {.method = "a.B/C", .resource = {}}).allowed);
}

std::vector<unsigned> listed_lines(const Policy& policy, bool privileged_port) {
  std::vector<unsigned> lines;
  std::size_t looked_at = 0;
  for (const auto* rule : policy.for_method(web1(), "a.B/C").listed(privileged_port, looked_at))
    lines.push_back(rule->line);
  EXPECT_GE(looked_at, lines.size());
  return lines;
}

TEST(Policy, AMethodListsWhatAllowsUpToTheFirstRuleForAnyResource) {
  const auto policy = policy_of(
      {R"("vms": ["*"], "calls": ["a.B/C"], "resources": ["/x"], "action": "allow")",
       R"("vms": ["*"], "calls": ["a.B/Other"], "action": "allow")",
       R"("vms": ["*"], "calls": ["a.B/C"], "require": ["privileged-port"], "action": "deny")",
       R"("vms": ["*"], "calls": ["*"], "action": "allow")", R"("vms": ["*"], "calls": ["a.B/C"], "action": "deny")"});
  EXPECT_THAT(listed_lines(policy, true), ElementsAre(2, 4));
  EXPECT_THAT(listed_lines(policy, false), ElementsAre(2, 5));
}

TEST(Policy, AListTakesNoMoreRulesThanItCanName) {
  std::vector<std::string> rules;
  for (int i = 0; i < 1000; ++i) {
    rules.push_back(R"("vms": ["*"], "calls": ["a.B/C"], "resources": ["/no"], "action": "deny")");
    rules.push_back(R"("vms": ["*"], "calls": ["a.B/C"], "resources": ["/x"], "action": "allow")");
  }
  rules.push_back(R"("vms": ["*"], "calls": ["a.B/C"], "action": "deny")");
  auto lines = listed_lines(policy_of(rules), false);
  ASSERT_EQ(lines.size(), kMostListed + 1);
  EXPECT_EQ(lines.back(), 2002u);
  EXPECT_EQ(lines[kMostListed - 1], 2 * kMostListed + 1) << "the first ones";
}

TEST(Policy, AListCountsAlsoWhatItLeavesOut) {
  std::vector<std::string> rules = {R"("vms": ["*"], "calls": ["*"], "action": "allow")"};
  for (int i = 0; i < 10; ++i)
    rules.push_back(R"("vms": ["web1"], "calls": ["a.B/C"], "resources": ["/x"], "action": "allow")");
  const auto policy = policy_of(rules);
  std::size_t looked_at = 0;
  EXPECT_EQ(policy.for_method(web1(), "a.B/C").listed(false, looked_at).size(), 1u);
  EXPECT_EQ(looked_at, 11u);
}

TEST(Policy, FilesCountInTheOrderOfTheirNames) {
  const test::TempDir dir;
  const auto rule = [](const char* action) {
    return std::string(R"({"rules": [{"vms": ["*"], "calls": ["*"], "action": ")") + action + "\"}]}";
  };
  dir.write("50-default.json", rule("deny"));
  dir.write("10-local.json", rule("allow"));
  dir.write("60-unused.json", rule("deny"));
  const auto policy = Policy::read({dir.path()});
  EXPECT_EQ(policy.files(), 3u);
  ASSERT_EQ(policy.rules().size(), 3u);
  EXPECT_EQ(policy.rules()[2].index, 2u);
  const auto verdict = policy.decide(web1(), {.method = "a.B/C", .resource = {}});
  EXPECT_TRUE(verdict.allowed);
  EXPECT_THAT(verdict.rule->file, ::testing::EndsWith("/10-local.json"));
}

TEST(Policy, OfTwoDirectoriesTheFirstComesFirstAndHidesFilesOfTheSameName) {
  const test::TempDir dir;
  const auto write = [&](const char* file, const char* call) {
    dir.write(file, std::string(R"({"rules": [{"vms": ["*"], "calls": [")") + call + R"("], "action": "allow"}]})");
  };
  for (const auto* directory : {"etc", "vendor"}) std::filesystem::create_directory(dir / directory);
  write("vendor/10-early.json", "vendor.Early/A");
  write("vendor/50-default.json", "vendor.Default/A");
  write("etc/50-default.json", "etc.Default/A");
  write("etc/90-late.json", "etc.Late/A");
  const auto calls = [](const Policy& policy) {
    std::vector<std::string> found;
    for (const auto& rule : policy.rules()) found.push_back(rule.calls.front());
    return found;
  };
  EXPECT_THAT(calls(Policy::read({dir / "etc", dir / "vendor"})),
              ElementsAre("etc.Default/A", "etc.Late/A", "vendor.Early/A"));
  EXPECT_THAT(calls(Policy::read({dir / "missing", dir / "vendor"})),
              ElementsAre("vendor.Early/A", "vendor.Default/A"));
}

TEST(Policy, AMaskedFileIsRefusedWithTheWayToHideAFile) {
  const test::TempDir dir;
  std::filesystem::create_symlink("/dev/null", dir / "50-default.json");
  EXPECT_THAT(error_of([&] { Policy::read({dir.path()}); }),
              AllOf(StartsWith(dir / "50-default.json: /dev/null is not a regular file"),
                    HasSubstr("such as {\"rules\": []}, into a file"), testing::Not(HasSubstr("chmod"))));
}

TEST(Policy, RatesHaveABurst) {
  const auto policy = policy_of({R"("vms": ["*"], "calls": ["*"], "action": "allow", "rate": 0.5)",
                                 R"("vms": ["*"], "calls": ["*"], "action": "allow", "rate": 10)",
                                 R"("vms": ["*"], "calls": ["*"], "action": "allow", "rate": 10, "burst": 20)",
                                 R"("vms": ["*"], "calls": ["*"], "action": "allow")"});
  const auto& rules = policy.rules();
  EXPECT_EQ(rules[0].rate, 0.5);
  EXPECT_EQ(rules[0].burst, 1);
  EXPECT_EQ(rules[1].burst, 10);
  EXPECT_EQ(rules[2].burst, 20);
  EXPECT_EQ(rules[3].rate, 0);
}

// --- rules that are found by the start of their resources ---

// What the first rule that matches decides, by looking at all of them in order.
const Rule* first_by_walk(const Policy& policy, const VmRecord& vm, const CallQuery& query) {
  for (const auto& rule : policy.rules()) {
    const bool vm_matches = std::ranges::any_of(rule.vms, [&](const std::string& pattern) {
      return pattern == "*" || pattern == vm.name ||
             std::ranges::any_of(vm.tags, [&](const auto& tag) { return pattern == "tag:" + tag; });
    });
    const bool call_matches = std::ranges::any_of(rule.calls, [&](const std::string& pattern) {
      return pattern == "*" || pattern == query.method ||
             (pattern.ends_with("/*") && query.method.starts_with(pattern.substr(0, pattern.size() - 1)));
    });
    const bool resource_matches = rule.resources.empty() || std::ranges::any_of(rule.resources, [&](const auto& glob) {
                                    return !query.resource.empty() && glob_matches(glob, query.resource);
                                  });
    if (vm_matches && call_matches && resource_matches && (query.privileged_port || !rule.require_privileged_port))
      return &rule;
  }
  return nullptr;
}

TEST(PolicyTables, FindWhatAWalkFinds) {
  std::mt19937 random(test::fresh_seed());
  const auto pick = [&](std::initializer_list<const char*> texts) {
    return std::string(*(texts.begin() + random() % texts.size()));
  };
  const auto path = [&] {
    std::string text;
    for (auto parts = 1 + random() % 3; parts > 0; --parts) text += pick({"/a", "/b", "/ab", "/aa", "/a\xc3\xa9"});
    return text;
  };
  for (int round = 0; round < 200; ++round) {
    std::vector<std::string> rules;
    for (auto left = random() % 12; left > 0; --left) {
      auto rule = "\"vms\": [\"" + pick({"*", "web1", "tag:web", "tag:prod", "db1"}) + "\", \"" +
                  pick({"web1", "db2"}) + "\"], \"calls\": [\"" + pick({"*", "a.B/*", "a.B/C", "a.B/D", "a.Bx/*"}) +
                  "\"]";
      if (random() % 4 != 0)
        rule += ", \"resources\": [\"" + path() + pick({"", "/*", "/**", "*", "?", "[a-b]", "/\\\\a"}) + "\", \"" +
                path() + "\"]";
      if (random() % 4 == 0) rule += ", \"require\": [\"privileged-port\"]";
      rules.push_back(rule + ", \"action\": \"" + pick({"allow", "deny"}) + "\"");
    }
    const auto policy = policy_of(rules);
    for (int i = 0; i < 50; ++i) {
      const auto resource = random() % 5 == 0 ? std::string() : path() + pick({"", "/", "/x"});
      const CallQuery query{.method = "a.B/C", .resource = resource, .privileged_port = random() % 2 == 0};
      EXPECT_EQ(policy.decide(web1(), query).rule, first_by_walk(policy, web1(), query)) << resource;
    }
  }
}

// How many rules a decision looks at among so many whose resources differ.
std::size_t looked_at(int rules, const std::string& resource) {
  std::vector<std::string> texts;
  for (int i = 0; i < rules; ++i)
    texts.push_back(R"("vms": ["*"], "calls": ["s.Store/List"], "resources": ["/shared/app)" + std::to_string(i) +
                    R"(/**"], "action": "allow")");
  const auto policy = policy_of(texts);
  return policy.decide(web1(), {.method = "s.Store/List", .resource = resource}).looked_at;
}

TEST(PolicyTables, MoreRulesForOtherResourcesAreNotLookedAt) {
  for (const auto* resource : {"/shared/app5/key", "/shared/app5", "/shared/app7777/key", "/self/x"})
    EXPECT_LE(looked_at(10'000, resource), looked_at(10, resource) + 8) << resource;
}

// Matching takes the product of both lengths at worst.
TEST(PolicyTables, LongPatternsAndLongResourcesCountAsMoreRules) {
  const auto policy = policy_of({R"("vms": ["*"], "calls": ["s.Store/List"], "resources": ["/a/*)" +
                                 std::string(127, 'x') + R"("], "action": "allow")"});
  const auto cost_of = [&](std::size_t bytes) {
    const auto resource = "/a/" + std::string(bytes, 'y');
    return policy.decide(web1(), {.method = "s.Store/List", .resource = resource}).looked_at;
  };
  EXPECT_GE(cost_of(512), 128u * 512 / 256);
  EXPECT_LE(cost_of(1), 4u) << "few count as before";
}

// --- texts ---

TEST(VerdictText, NamesFileAndLine) {
  const auto policy = policy_of({R"("vms": ["*"], "calls": ["s.Store/Get"], "resources": ["/vm/*"], "action": "deny")",
                                 R"("vms": ["*"], "calls": ["a.B/C"], "action": "allow", "rate": 2.5, "burst": 5)",
                                 R"("vms": ["*"], "calls": ["a.B/D"], "action": "allow")"},
                                "/etc/hostcall/policy.d/50-default.json");
  EXPECT_EQ(
      text_of(policy, {.method = "s.Store/Get", .resource = "/vm/x"}),
      "VM \"web1\": s.Store/Get on \"/vm/x\" is denied by /etc/hostcall/policy.d/50-default.json:2; to allow it, add "
      "a rule before that one (see hostcallctl policy explain)");
  EXPECT_EQ(
      text_of(policy, {.method = "a.B/C", .resource = {}}),
      "VM \"web1\": a.B/C is allowed by /etc/hostcall/policy.d/50-default.json:3, at most 2.5 calls/s, 5 at once");
  EXPECT_EQ(text_of(policy, {.method = "a.B/D", .resource = {}}),
            "VM \"web1\": a.B/D is allowed by /etc/hostcall/policy.d/50-default.json:4");
  EXPECT_EQ(text_of(policy, {.method = "x.Y/Z", .resource = {}}),
            "VM \"web1\": x.Y/Z is denied: no rule matches VM, call and resource; to allow it, add a rule (see "
            "hostcallctl policy explain)");
}

TEST(VerdictText, WhoHasAskedForAnExplanationIsNotSentForIt) {
  const auto policy = policy_of({R"("vms": ["*"], "calls": ["a.B/C"], "action": "deny")"}, "p.json");
  const CallQuery query{.method = "a.B/C", .resource = {}};
  const auto text = verdict_text(web1(), query, policy.decide(web1(), query), Reader::kExplain);
  EXPECT_EQ(text + " (see hostcallctl policy explain)", text_of(policy, query));
}

TEST(VerdictText, NamesARequirementThatWouldHaveHelped) {
  const auto policy =
      policy_of({R"("vms": ["*"], "calls": ["a.B/C"], "require": ["privileged-port"], "action": "allow")",
                 R"("vms": ["*"], "calls": ["a.B/C"], "action": "deny")",
                 R"("vms": ["*"], "calls": ["a.B/D"], "require": ["privileged-port"], "action": "deny")",
                 R"("vms": ["*"], "calls": ["a.B/E"], "require": ["privileged-port"], "action": "allow")",
                 R"("vms": ["*"], "calls": ["a.B/F"], "require": ["privileged-port"], "action": "allow")",
                 R"("vms": ["*"], "calls": ["a.B/F"], "action": "allow")"});
  EXPECT_EQ(text_of(policy, {.method = "a.B/C", .resource = {}}),
            "VM \"web1\": a.B/C is denied by p.json:3; p.json:2 would allow it from a source port below 1024 (as root "
            "of the VM: hostcall --privileged-port)");
  EXPECT_EQ(text_of(policy, {.method = "a.B/E", .resource = {}}),
            "VM \"web1\": a.B/E is denied: no rule matches VM, call and resource; p.json:5 would allow it from a "
            "source port below 1024 (as root of the VM: hostcall --privileged-port)");
  EXPECT_THAT(text_of(policy, {.method = "a.B/D", .resource = {}}), HasSubstr("to allow it, add a rule"));
  EXPECT_EQ(text_of(policy, {.method = "a.B/F", .resource = {}}), "VM \"web1\": a.B/F is allowed by p.json:7");
}

TEST(VerdictText, AdvisesNoPortToAVmThatCanNotShowOne) {
  const auto policy =
      policy_of({R"("vms": ["*"], "calls": ["a.B/C"], "require": ["privileged-port"], "action": "allow")"});
  auto vm = web1();
  vm.cid = 0;
  const CallQuery query{.method = "a.B/C", .resource = {}};
  EXPECT_EQ(
      verdict_text(vm, query, policy.decide(vm, query), Reader::kOperator),
      "VM \"web1\": a.B/C is denied: no rule matches VM, call and resource; p.json:2 would allow it from a source "
      "port below 1024, which only a VM with a CID has; to allow it, add a rule (see hostcallctl policy explain)");
}

TEST(VerdictText, GuestTextIsEscapedAndCut) {
  const auto policy = Policy::parse({});
  EXPECT_THAT(text_of(policy, {.method = "a.B/C", .resource = "x\" is allowed by\n"}),
              StartsWith("VM \"web1\": a.B/C on \"x\\x22 is allowed by\\x0a\" is denied"));
  EXPECT_LT(text_of(policy, {.method = std::string(5000, 'm'), .resource = std::string(5000, 'r')}).size(), 600u);
}

// --- files that are refused ---

std::string refusal(const std::string& rule) {
  return error_of([&] { policy_of({R"("vms": ["*"], "calls": ["*"], "action": "deny")", rule}); });
}

TEST(PolicyFile, ComplaintsNameLineAndReason) {
  EXPECT_EQ(refusal(R"("calls": ["*"], "action": "allow")"), "p.json:3: the key \"vms\" is missing");
  EXPECT_EQ(refusal(R"("vms": ["*"], "action": "allow")"), "p.json:3: the key \"calls\" is missing");
  EXPECT_EQ(refusal(R"("vms": ["*"], "calls": ["*"])"), "p.json:3: the key \"action\" is missing");
  EXPECT_EQ(refusal(R"("vms": ["*"], "calls": ["*"], "action": "permit")"),
            "p.json:3: action: \"permit\" is not an action; write allow or deny");
  EXPECT_EQ(refusal(R"("vms": ["*"], "calls": ["*"], "alow": 1)"),
            "p.json:3: unknown key \"alow\"; known are vms, calls, resources, require, action, rate, burst, audit");
  EXPECT_EQ(refusal(R"("vms": [], "calls": ["*"], "action": "deny")"),
            "p.json:3: vms: the list is empty, so the rule could never match; expected a VM's name, tag:NAME or *");
}

TEST(PolicyFile, NamesAreChecked) {
  for (const auto* vm : {"", "Web1", "tag:", "tag:Web", "web*", "tag:*"})
    EXPECT_THAT(refusal(R"("calls": ["*"], "action": "deny", "vms": [")" + std::string(vm) + "\"]"),
                HasSubstr("is not a VM's name, tag:NAME or *"))
        << vm;
  for (const auto* call :
       {"", "a.B", "a.B/", "/C", "a.B/C/D", "a./C", ".B/C", "a.B/C*", "*/C", "a.*/C", "a b/C", "1a/C"})
    EXPECT_THAT(refusal(R"("vms": ["*"], "action": "deny", "calls": [")" + std::string(call) + "\"]"),
                HasSubstr("is not pkg.Service/Method, pkg.Service/* or *"))
        << call;
  EXPECT_EQ(refusal(R"("vms": ["*"], "action": "deny", "calls": ["Service/Method", "a.b.c_1.S/*"])"), "no error");
}

TEST(PolicyFile, ResourcesRequirementsAndRatesAreChecked) {
  const auto with = [](const std::string& more) {
    return refusal(R"("vms": ["*"], "calls": ["*"], "action": "allow", )" + more);
  };
  EXPECT_THAT(with(R"("resources": ["[a"])"), StartsWith("p.json:3: resource glob \"[a\": it ends in"));
  EXPECT_THAT(with(R"("resources": [])"), HasSubstr("leave \"resources\" out"));
  EXPECT_THAT(with(R"("require": ["root"])"), HasSubstr("known is privileged-port"));
  EXPECT_THAT(with(R"("rate": 0)"), HasSubstr("expected a number above 0"));
  EXPECT_THAT(with(R"("rate": -1)"), HasSubstr("expected a number above 0"));
  EXPECT_THAT(with(R"("rate": 1, "burst": 0.5)"), HasSubstr("expected a number from 1 to"));
  EXPECT_THAT(with(R"("burst": 5)"), HasSubstr("a burst needs a rate"));
  EXPECT_THAT(refusal(R"("vms": ["*"], "calls": ["*"], "action": "deny", "rate": 1)"),
              HasSubstr("a rule that denies has no rate"));
  EXPECT_THAT(with(R"("audit": "yes")"), HasSubstr("expected true or false"));
  EXPECT_THAT(refusal(R"("vms": ["*"], "calls": ["*"], "action": "deny", "audit": false)"),
              HasSubstr("what a rule denies is always recorded"));
}

TEST(PolicyFile, MustHaveRulesAndNothingElse) {
  const auto parse = [](const char* text) { return error_of([&] { Policy::parse({{"p.json", text}}); }); };
  EXPECT_EQ(parse("{}"), "p.json:1: the key \"rules\" is missing");
  EXPECT_EQ(parse("[]"), "p.json:1: expected an object, but this is a list");
  EXPECT_THAT(parse("{\"rules\": [],\n\"rule\": []}"), StartsWith("p.json:2: unknown key \"rule\""));
  EXPECT_EQ(parse("{\"rules\": []}"), "no error");
}

// --- cost ---

// What there is to look at in each rule, looked at without a thought: every text compared, and nothing done with it.
std::size_t plain_walk(const Policy& policy, const VmRecord& vm, const CallQuery& query) {
  std::size_t equal = 0;
  const auto look = [&equal](const std::vector<std::string>& texts, std::string_view wanted) {
    for (const std::string_view text : texts) equal += text.compare(wanted) == 0;
  };
  for (const auto& rule : policy.rules()) {
    look(rule.calls, query.method);
    look(rule.vms, vm.name);
    look(rule.resources, query.resource);
  }
  return equal;
}

class PolicyCost : public testing::Test {
 protected:
  // Each rule has the same method, and every second also the VM: none can be passed over without a look at it.
  static Policy thousand_rules() {
    std::vector<std::string> rules;
    for (int i = 0; i < 999; ++i)
      rules.push_back(R"("vms": ["vm)" + std::to_string(i) + R"(", "tag:)" + (i % 2 ? "prod" : "test") +
                      R"("], "calls": ["hostcall.v1.Store/Put", "hostcall.v1.Store/Get"], "resources": ["/self/app)" +
                      std::to_string(i) + R"(/*", "/shared/**"], "action": "allow")");
    rules.push_back(R"("vms": ["*"], "calls": ["*"], "action": "deny")");
    return policy_of(rules);
  }
  test::Nanoseconds time_of_walk() {
    return test::time_of([this] { EXPECT_NE(plain_walk(policy_, vm_, query_), 0u); });
  }

  const Policy policy_ = thousand_rules();
  const VmRecord vm_ = web1();
  const CallQuery query_{.method = "hostcall.v1.Store/Get", .resource = "/self/application-with-a-long-name/key"};
};

// With a few allocations, which a sanitizer makes dear, as code that is not optimised is beside memcmp(3).
TEST_F(PolicyCost, AThousandRulesAreWalkedOnce) {
  ASSERT_EQ(policy_.decide(vm_, query_).rule, &policy_.rules().back());
  EXPECT_TRUE(test::takes_at_most(
      test::kShipped ? 3 : 7,
      [this] { return test::time_of([this] { EXPECT_FALSE(policy_.decide(vm_, query_).allowed); }); },
      [this] { return time_of_walk(); }));
}

TEST_F(PolicyCost, WhatIsKeptOfThemIsWalkedWithoutAnAllocation) {
  const auto kept = policy_.for_method(vm_, query_.method);
  test::forget_allocations();
  EXPECT_FALSE(kept.decide(query_).allowed);
  EXPECT_EQ(test::allocations(), 0u);
  EXPECT_TRUE(test::takes_at_most(
      1.5, [&] { return test::time_of([&] { EXPECT_FALSE(kept.decide(query_).allowed); }); },
      [this] { return time_of_walk(); }));
}

}  // namespace
}  // namespace hostcall::daemon
