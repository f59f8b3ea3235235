// Keys as VMs and administrators name them, and what neither can name.
#include "daemon/services/store_names.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace hostcall::daemon {
namespace {

using ::testing::HasSubstr;

Caller vm(const std::string& name, std::uint64_t key_bytes = 512) {
  VmRecord record;
  record.name = name;
  Limits limits;
  limits.store_key_bytes = key_bytes;
  Caller caller;
  caller.vm = std::make_shared<Vm>(record, "test", 1, limits);
  return caller;
}

Caller admin() {
  Caller caller;
  caller.audience = Audience::kAdmin;
  return caller;
}

// The store's name, or the refusal's text.
std::string key(const Caller& caller, std::string_view name) {
  std::string in_store;
  const auto status = StoreNames(caller).key(name, in_store);
  if (status.ok()) return in_store;
  EXPECT_EQ(status.code, Code::kInvalidArgument);
  return status.message;
}

std::string prefix(const Caller& caller, std::string_view name) {
  std::string in_store;
  const auto status = StoreNames(caller).prefix(name, in_store);
  if (status.ok()) return in_store;
  EXPECT_EQ(status.code, Code::kInvalidArgument);
  return status.message;
}

TEST(StoreNames, AVmsOwnKeysLieBelowItsName) {
  EXPECT_EQ(key(vm("web1"), "/self/a/b"), "/vm/web1/a/b");
  EXPECT_EQ(key(vm("web1"), "/shared/a"), "/shared/a");
  EXPECT_EQ(key(vm("web1"), "/self/self/x"), "/vm/web1/self/x");
  EXPECT_EQ(prefix(vm("web1"), "/self/"), "/vm/web1/");
  EXPECT_EQ(prefix(vm("web1"), "/self/a"), "/vm/web1/a");
  EXPECT_EQ(prefix(vm("web1"), "/shared/"), "/shared/");
}

TEST(StoreNames, AVmCanNameNothingElse) {
  const auto web = vm("web1");
  for (const auto* name :
       {"/vm/web1/x", "/vm/db1/x", "/self", "/shared", "/selfish/x", "/sharedx", "/other", "/SELF/x"}) {
    const auto text = "there are no keys at \"" + std::string(name) + "\"; a VM's are below /self/ and /shared/";
    EXPECT_EQ(key(web, name), text);
    EXPECT_EQ(prefix(web, name), text);
  }
  for (const auto* name : {"/", "/vm/", "/vm/db1/"}) EXPECT_THAT(prefix(web, name), HasSubstr("there are no keys at"));
  for (const auto* name : {"/self/../db1/x", "/self/./x", "/shared/../vm/db1/x", "/self/x/.."})
    EXPECT_THAT(key(web, name), HasSubstr("has the part \".")) << name;
}

TEST(StoreNames, AnAdministratorNamesVmsAndWhatIsAboveThem) {
  EXPECT_EQ(key(admin(), "/vm/web1/a"), "/vm/web1/a");
  EXPECT_EQ(key(admin(), "/shared/a"), "/shared/a");
  for (const auto* name : {"/", "/vm/", "/vm/web1/", "/shared/", "/vm/web1/a"}) EXPECT_EQ(prefix(admin(), name), name);
}

TEST(StoreNames, AnAdministratorHasNoKeysElsewhere) {
  for (const auto* name : {"/self/x", "/vm", "/vm/web1", "/shared", "/other/x", "/vm/Web1/x", "/vm/-/x"})
    EXPECT_EQ(key(admin(), name), "there are no keys at \"" + std::string(name) +
                                      "\"; an administrator's are below /vm/NAME/ and /shared/");
  EXPECT_THAT(prefix(admin(), "/vm/Web1/"), HasSubstr("there are no keys at"));
}

TEST(StoreNames, SaysWhatIsWrongWithAKey) {
  const auto web = vm("web1");
  EXPECT_EQ(key(web, ""), "the key \"\" does not begin with '/'");
  EXPECT_THAT(key(web, "self/x"), HasSubstr("does not begin with '/'"));
  EXPECT_THAT(key(web, "/self/"), HasSubstr("ends in '/', which a key never does"));
  EXPECT_THAT(key(web, "/self//x"), HasSubstr("has an empty part"));
  EXPECT_THAT(key(web, "/self/a\nb"), HasSubstr("has a control character"));
  EXPECT_THAT(key(web, "/self/a\nb"), HasSubstr("a\\x0ab")) << "and shows it escaped";
  EXPECT_THAT(key(web, "/self/\xff"), HasSubstr("is not UTF-8"));
  EXPECT_EQ(key(web, "/self/\xc3\xa4"), "/vm/web1/\xc3\xa4");
  EXPECT_THAT(prefix(web, "self/"), HasSubstr("the prefix \"self/\" does not begin with '/'"));
  EXPECT_THAT(prefix(web, "/self//"), HasSubstr("has an empty part"));
}

TEST(StoreNames, TheLimitIsOnWhatTheCallerSays) {
  const auto web = vm("a-long-name-of-a-vm", 16);
  const std::string longest = "/self/0123456789";
  EXPECT_EQ(key(web, longest), "/vm/a-long-name-of-a-vm/0123456789");
  EXPECT_THAT(key(web, longest + "x"), HasSubstr("has 17 bytes, but at most 16 are allowed"));
  EXPECT_EQ(prefix(web, longest), "/vm/a-long-name-of-a-vm/0123456789");
  EXPECT_THAT(prefix(web, longest + "x"), HasSubstr("has 17 bytes"));
  EXPECT_THAT(key(admin(), "/shared/" + std::string(505, 'x')), HasSubstr("has 513 bytes, but at most 512"));
}

TEST(StoreNames, ShowsKeysAsTheCallerNamesThem) {
  const StoreNames web(vm("web1")), host(admin());
  EXPECT_EQ(web.shown("/vm/web1/a/b"), "/self/a/b");
  EXPECT_EQ(web.shown("/shared/a"), "/shared/a");
  EXPECT_EQ(web.shown("/vm/web10/a"), "/vm/web10/a");
  EXPECT_EQ(host.shown("/vm/web1/a/b"), "/vm/web1/a/b");
}

}  // namespace
}  // namespace hostcall::daemon
