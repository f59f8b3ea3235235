// Warnings about rules that can't mean what they say, and that all others get none.
#include "daemon/config/policy_warnings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "daemon/config/nearest.h"

namespace hostcall::daemon {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

KnownNames known() {
  KnownNames known;
  known.methods = {{"hostcall.v1.Host/Info", true, false},        {"hostcall.v1.Diagnostics/Echo", true, false},
                   {"hostcall.v1.Diagnostics/Sink", true, false}, {"hostcall.v1.Store/Get", true, true},
                   {"hostcall.v1.Store/Txn", true, false},        {"hostcall.v1.Admin/VmAdd", false, false},
                   {"hostcall.v1.Run/Start", true, true},         {"hostcall.v1.Relay/Open", true, true}};
  known.services = {"backup", "ssh-agent"};
  known.add({.name = "web1", .uuid = {}, .tags = {"web", "prod"}, .cid = 42, .unix_path = {}, .limits = {}});
  known.add({.name = "db1", .uuid = {}, .tags = {}, .cid = 43, .unix_path = {}, .limits = {}});
  return known;
}

// The first rule is in line 2.
std::vector<std::string> warnings_of(const std::vector<std::string>& rules) {
  std::string text = "{\"rules\": [";
  for (const auto& rule : rules) text += (&rule == rules.data() ? "\n{" : ",\n{") + rule + "}";
  return policy_warnings(Policy::parse({{"p.json", text + "]}"}}), known());
}

std::string rule(const std::string& vms, const std::string& calls, const std::string& more = "",
                 const std::string& action = "allow") {
  return "\"vms\": [" + vms + "], \"calls\": [" + calls + "], " + more + "\"action\": \"" + action + "\"";
}

TEST(PolicyWarnings, NoneForRulesThatMeanSomething) {
  EXPECT_THAT(warnings_of({rule(R"("web1", "tag:prod", "db1")", R"("hostcall.v1.Host/*", "hostcall.v1.Store/Get")"),
                           rule(R"("*")", R"("hostcall.v1.Store/*")", R"("resources": ["/self/**"], )"),
                           rule(R"("*")", R"("*")", R"("resources": ["/shared/**"], )"),
                           rule(R"("*")", R"("hostcall.v1.Admin/*")", "", "deny"), rule(R"("*")", R"("*")")}),
              IsEmpty());
}

TEST(PolicyWarnings, CallsThatDoNotExist) {
  EXPECT_THAT(
      warnings_of({rule(R"("*")", R"("hostcall.v1.Diagnostics/Ecko")"), rule(R"("*")", R"("hostcall.v1.Diagnostic/*")"),
                   rule(R"("*")", R"("example.Other/Method")")}),
      ElementsAre(
          "p.json:2: no method is named \"hostcall.v1.Diagnostics/Ecko\", so the rule never matches it; did you "
          "mean \"hostcall.v1.Diagnostics/Echo\"?",
          "p.json:3: no service is named \"hostcall.v1.Diagnostic/*\", so the rule never matches it; did you "
          "mean \"hostcall.v1.Diagnostics/*\"?",
          "p.json:4: no method is named \"example.Other/Method\", so the rule never matches it"));
}

// "SERVICE/*" stands for methods that are not known.
TEST(PolicyWarnings, MethodsOfServersMayNotBeKnown) {
  auto names = known();
  names.methods.push_back({.name = "acme.v1.Open/*"});
  names.methods.push_back({.name = "acme.v1.Described/Get"});
  const auto warnings = [&](const std::string& calls) {
    return policy_warnings(Policy::parse({{"p.json", "{\"rules\": [{" + rule(R"("*")", calls) + "}]}"}}), names);
  };
  EXPECT_THAT(warnings(R"("acme.v1.Open/Anything", "acme.v1.Open/*", "acme.v1.Described/Get", "acme.v1.Described/*")"),
              IsEmpty());
  EXPECT_THAT(warnings(R"("acme.v1.Described/Drop")"), ElementsAre(HasSubstr("no method is named")));
  EXPECT_THAT(warnings(R"("acme.v1.Closed/*")"), ElementsAre(HasSubstr("no service is named")));
}

TEST(PolicyWarnings, VmsAndTagsThatNoRecordHas) {
  EXPECT_THAT(warnings_of({rule(R"("web9", "web1", "tag:nosuchtag", "tag:wep", "tag:web1")", R"("*")")}),
              ElementsAre("p.json:2: no VM is named \"web9\" at present, so this entry matches nothing; did you mean "
                          "\"web1\"?",
                          "p.json:2: no VM has the tag \"nosuchtag\" at present, so this entry matches nothing",
                          "p.json:2: no VM has the tag \"wep\" at present, so this entry matches nothing; did you "
                          "mean \"web\"?",
                          "p.json:2: no VM has the tag \"web1\" at present, so this entry matches nothing; did you "
                          "mean \"web\"?"));
}

TEST(PolicyWarnings, NothingCanAllowTheAdministratorsService) {
  for (const auto* call : {R"("hostcall.v1.Admin/*")", R"("hostcall.v1.Admin/VmAdd")"})
    EXPECT_THAT(warnings_of({rule(R"("*")", call)}),
                ElementsAre(HasSubstr("p.json:2: no rule can allow \"hostcall.v1.Admin/")));
}

TEST(PolicyWarnings, ResourcesOfCallsThatHaveNone) {
  EXPECT_THAT(warnings_of({rule(R"("*")", R"("hostcall.v1.Host/*", "hostcall.v1.Store/Txn")",
                                R"("resources": ["/self/**"], )")}),
              ElementsAre("p.json:2: none of the rule's calls is about a resource, so with \"resources\" it never "
                          "matches"));
}

TEST(PolicyWarnings, ResourcesThatNoKeyOfAVmCanMatch) {
  const auto warnings = [](const std::string& glob) {
    return warnings_of({rule(R"("*")", R"("hostcall.v1.Store/*")", "\"resources\": [\"" + glob + "\"], ", "deny")});
  };
  const auto place = [](const std::string& glob) {
    return "p.json:2: no key of a VM matches \"" + glob + "\": a VM's keys are below /self/ and /shared/";
  };
  for (const auto* glob : {"shared/secret/**", "/vm/web1/secret/**", "/sahred/**", "/self", "/shared", "/*", "*",
                           "/self*", "/self?x", "?self/x", "/[a-r]elf/x", "/", "/selfish/**"})
    EXPECT_THAT(warnings(glob), ElementsAre(place(glob)));
  for (const auto* glob : {"/shared/../x", "/shared/./x", "/shared//x", "/self/..", "/self/.", "/self/a/../*"})
    EXPECT_THAT(warnings(glob), ElementsAre("p.json:2: no key of a VM matches \"" + std::string(glob) +
                                            "\": no part of a key is empty, \".\" or \"..\""));
  for (const auto* glob : {"/self/", "/self/x", "/shared/**", "**", "/**", "/**/x", "/*/x", "/s*/x", "/[!x]elf/x",
                           "/sel\\\\f/x", "/self/...", "/self/.a", "/self/.*", "/?h*d/a", "/shared/a/"})
    EXPECT_THAT(warnings(glob), IsEmpty()) << glob;
}

TEST(PolicyWarnings, ServicesThatAreNotThere) {
  const auto warnings = [](const std::string& calls, const std::string& glob) {
    return warnings_of({rule(R"("*")", calls, "\"resources\": [\"" + glob + "\"], ")});
  };
  const auto run = R"("hostcall.v1.Run/Start")", relay = R"("hostcall.v1.Relay/*")", all = R"("*")",
             both = R"("hostcall.v1.Store/Get", "hostcall.v1.Run/*")", get = R"("hostcall.v1.Store/Get")";
  for (const auto* calls : {run, relay, all, both}) {
    EXPECT_THAT(warnings(calls, "bakcup"),
                ElementsAre("p.json:2: services.d has no service \"bakcup\", so this entry matches nothing; did you "
                            "mean \"backup\"?"));
    EXPECT_THAT(warnings(calls, "printer"),
                ElementsAre("p.json:2: services.d has no service \"printer\", so this entry matches nothing"));
    for (const auto* glob : {"backup", "ssh-agent", "back*", "later-*", "*", "[a/]*"})
      EXPECT_THAT(warnings(calls, glob), IsEmpty()) << calls << glob;
  }
  for (const auto* calls : {run, relay})
    for (const auto* glob : {"/self/x", "/self/**", "a/*"})
      EXPECT_THAT(warnings(calls, glob), ElementsAre("p.json:2: no service matches \"" + std::string(glob) +
                                                     "\": the name of a service has no \"/\""));
  for (const auto* calls : {all, both}) {
    EXPECT_THAT(warnings(calls, "/self/**"), IsEmpty());
    EXPECT_THAT(warnings(calls, "/vm/x"), ElementsAre(HasSubstr("no key of a VM matches \"/vm/x\"")));
  }
  EXPECT_THAT(warnings(get, "backup"), ElementsAre(HasSubstr("no key of a VM matches \"backup\"")));
}

// Whether the second rule has no effect.
void expect_shadowed(const std::string& earlier, const std::string& later) {
  EXPECT_THAT(warnings_of({earlier, later}),
              ElementsAre("p.json:3: this rule has no effect: p.json:2 matches every call that it would match"))
      << earlier << "\n"
      << later;
}
void expect_not_shadowed(const std::string& earlier, const std::string& later) {
  EXPECT_THAT(warnings_of({earlier, later}), IsEmpty()) << earlier << "\n" << later;
}

TEST(PolicyWarnings, RulesThatAnEarlierOneShadows) {
  const auto echo = R"("hostcall.v1.Diagnostics/Echo")", all = R"("*")", get = R"("hostcall.v1.Store/Get")";
  expect_shadowed(rule(all, all), rule(R"("web1")", echo, "", "deny"));
  expect_shadowed(rule(all, R"("hostcall.v1.Diagnostics/*")"), rule(all, echo));
  expect_shadowed(rule(R"("web1", "tag:web")", echo),
                  rule(R"("tag:web")", echo, R"("require": ["privileged-port"], )"));
  expect_shadowed(rule(all, get, R"("resources": ["/self/**"], )"), rule(all, get, R"("resources": ["/self/a/*"], )"));
  expect_shadowed(rule(all, get, R"("resources": ["/self/*"], )"), rule(all, get, R"("resources": ["/self/a?"], )"));
  expect_shadowed(rule(all, get, R"("resources": ["/self/a*[b]/c"], )"),
                  rule(all, get, R"("resources": ["/self/a*[b]/c"], )"));
}

TEST(PolicyWarnings, RulesThatDecideSometimes) {
  const auto echo = R"("hostcall.v1.Diagnostics/Echo")", all = R"("*")", get = R"("hostcall.v1.Store/Get")";
  expect_not_shadowed(rule(R"("web1")", all), rule(R"("web1", "db1")", echo));
  expect_not_shadowed(rule(R"("tag:web")", all), rule(R"("web1")", all));  // the tag can go
  expect_not_shadowed(rule(all, echo), rule(all, R"("hostcall.v1.Diagnostics/*")"));
  expect_not_shadowed(rule(all, echo, R"("require": ["privileged-port"], )"), rule(all, echo));
  expect_not_shadowed(rule(all, get, R"("resources": ["/self/**"], )"), rule(all, get));
  expect_not_shadowed(rule(all, get, R"("resources": ["/self/a/**"], )"),
                      rule(all, get, R"("resources": ["/self/**"], )"));
  expect_not_shadowed(rule(all, get, R"("resources": ["/self/*"], )"),
                      rule(all, get, R"("resources": ["/self/a/b"], )"));
  expect_not_shadowed(rule(all, get, R"("resources": ["/self/*"], )"),
                      rule(all, get, R"("resources": ["/self/a**"], )"));
}

TEST(PolicyWarnings, SeveralRulesShadowOneTogether) {
  EXPECT_THAT(
      warnings_of({rule(R"("web1")", R"("*")"), rule(R"("db1")", R"("*")"),
                   rule(R"("web1", "db1")", R"("hostcall.v1.Host/Info")")}),
      ElementsAre("p.json:4: this rule has no effect: p.json:2 and p.json:3 match every call that it would match"));
}

TEST(PolicyWarnings, TheDefaultPolicyIsThereToBeOverridden) {
  const auto text = "{\"rules\": [{" + rule(R"("*")", R"("hostcall.v1.Host/Info")") + "}]}";
  const auto warnings = [&](const std::string& later) {
    return policy_warnings(Policy::parse({{"/p/10-local.json", text}, {later, text}}), known());
  };
  EXPECT_THAT(warnings("/p/50-default.json"), IsEmpty());
  EXPECT_THAT(warnings("/p/50-other.json"),
              ElementsAre("/p/50-other.json:1: this rule has no effect: /p/10-local.json:1 matches every call that it "
                          "would match"));
}

TEST(PolicyWarnings, AreBounded) {
  const std::vector<std::string> rules(
      1000, rule(R"("web9")", R"("hostcall.v1.Store/Get")", R"("resources": ["/self/a"], )"));
  const auto warnings = warnings_of(rules);
  EXPECT_THAT(warnings, SizeIs(101));
  EXPECT_EQ(warnings.back(), "and 1899 more warnings about policy");
}

// Each would be compared with all before it.
TEST(PolicyWarnings, LookAtABoundedNumberOfRules) {
  std::vector<std::string> rules;
  for (int i = 0; i < 4000; ++i)
    rules.push_back(
        rule(R"("*")", R"("hostcall.v1.Store/Get")", R"("resources": ["/self/*/app)" + std::to_string(i) + R"("], )"));
  EXPECT_THAT(warnings_of(rules), ElementsAre(HasSubstr(": from here on, no rule was checked for earlier ones")));
}

TEST(Nearest, IsWhatTakesTheFewestChanges) {
  EXPECT_EQ(nearest("web9", {"db1", "web1", "web10"}), "web1");
  EXPECT_EQ(nearest("hostcall.v1.Strore/Get", {"hostcall.v1.Store/Get", "hostcall.v1.Store/Put"}),
            "hostcall.v1.Store/Get");
  EXPECT_EQ(nearest("prdo", {"prod", "production"}), "prod") << "two neighbours are exchanged";
  EXPECT_EQ(nearest("pdro", {"prod", "production"}), "") << "two changes in four letters";
  EXPECT_EQ(nearest("produktion", {"prod", "production"}), "production");
  EXPECT_EQ(nearest("x", {"web1", "y"}), "y");
  EXPECT_EQ(nearest("", {}), "");
}

}  // namespace
}  // namespace hostcall::daemon
