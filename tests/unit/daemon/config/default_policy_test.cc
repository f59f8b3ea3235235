// The policy that is shipped: an explicit line for every method of every .proto, with the verdicts that the product
// promises. A new method fails here until somebody has decided about it.
#include <gmock/gmock.h>
#include <google/protobuf/descriptor.pb.h>
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "daemon/config/policy.h"
#include "tests/support/contents.h"

namespace hostcall::daemon {
namespace {

using ::testing::SizeIs;

// By its text: the daemon does not trust a source tree that a group may write.
Policy default_policy() {
  constexpr char kFile[] = SYSTEMD_SOURCE "/policy.d/50-default.json";
  return Policy::parse({{kFile, test::contents_of(kFile)}});
}

// "hostcall.v1.Host/Info" of all .proto files.
std::set<std::string> all_methods() {
  google::protobuf::FileDescriptorSet set;
  EXPECT_TRUE(set.ParseFromString(test::contents_of(SERVICES_DESCRIPTORS))) << SERVICES_DESCRIPTORS;
  std::set<std::string> methods;
  for (const auto& proto : set.file())
    for (const auto& service : proto.service())
      for (const auto& method : service.method())
        methods.insert(proto.package() + "." + service.name() + "/" + method.name());
  return methods;
}

std::string service_of(const std::string& method) { return method.substr(0, method.find('/')); }

TEST(DefaultPolicy, HasOneExplicitLineForEveryMethod) {
  const auto policy = default_policy();
  std::map<std::string, unsigned> line_of;
  std::set<unsigned> lines;
  for (const auto& rule : policy.rules()) {
    ASSERT_THAT(rule.calls, SizeIs(1)) << "line " << rule.line;
    EXPECT_TRUE(line_of.emplace(rule.calls[0], rule.line).second) << rule.calls[0] << " is there twice";
    EXPECT_TRUE(lines.insert(rule.line).second) << "two rules in line " << rule.line;
  }
  const auto methods = all_methods();
  ASSERT_FALSE(methods.empty());
  for (const auto& method : methods)
    EXPECT_TRUE(line_of.contains(method)) << "add a line for " << method << " to systemd/policy.d/50-default.json";
  for (const auto& [call, line] : line_of)
    EXPECT_TRUE(methods.contains(call)) << "line " << line << ": there is no method " << call;
}

TEST(DefaultPolicy, LetsAVmSpeakOfItselfAndReadTheHostAndNothingElse) {
  const std::map<std::string, bool> allowed = {{"hostcall.v1.Session", true}, {"hostcall.v1.Host", true},
                                               {"hostcall.v1.Store", true},   {"hostcall.v1.Run", false},
                                               {"hostcall.v1.Relay", false},  {"hostcall.v1.Diagnostics", false},
                                               {"hostcall.v1.Admin", false}};
  const auto policy = default_policy();
  const VmRecord vm{.name = "any", .uuid = {}, .tags = {}, .cid = 42, .unix_path = {}, .limits = {}};
  for (const auto& method : all_methods()) {
    const auto expected = allowed.find(service_of(method));
    ASSERT_NE(expected, allowed.end()) << "decide here what the default for " << service_of(method) << " is";
    const auto resource = service_of(method) == "hostcall.v1.Store" ? "/self/a/b" : "backup";
    const CallQuery query{.method = method, .resource = resource, .privileged_port = true};
    EXPECT_EQ(policy.decide(vm, query).allowed, expected->second) << method;
  }
  EXPECT_FALSE(policy.decide(vm, {.method = "example.Unknown/Method", .resource = {}}).allowed);
  for (const auto* method : {"Get", "Put", "Delete", "List", "Watch"})
    for (const auto* resource : {"/shared/", "/shared/a", "/vm/other/a", "/", ""}) {
      const auto call = std::string("hostcall.v1.Store/") + method;
      EXPECT_FALSE(policy.decide(vm, {.method = call, .resource = resource}).allowed) << call << " " << resource;
    }
}

}  // namespace
}  // namespace hostcall::daemon
