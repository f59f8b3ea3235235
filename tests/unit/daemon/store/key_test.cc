// Keys: examples of the grammar, above all keys that must be refused.
#include "daemon/store/key.h"

#include <gtest/gtest.h>

#include "tests/support/refusal.h"

namespace hostcall::daemon::store {
namespace {

using namespace std::string_view_literals;
using test::refusal_of;

TEST(Key, GoodOnes) {
  for (const auto key : {"/self/a"sv, "/shared/app/state"sv, "/vm/web1/..."sv, "/a/..b"sv, "/a/b."sv, "/a/\xC3\xA4"sv,
                         "/a/ "sv, "/a/\xE2\x82\xAC"sv, "/a/\xF0\x9F\x98\x80"sv, "/a/*"sv, "/a/\xC2\xA0"sv})
    EXPECT_EQ(refusal_of(check_key(key, 512)), "") << key;
}

struct Bad {
  std::string_view key;
  std::string_view reason;
};

TEST(Key, BadOnesAreToldWhy) {
  constexpr Bad kBad[] = {
      {""sv, "does not begin with '/'"},
      {"a"sv, "does not begin with '/'"},
      {"/"sv, "ends in '/', which a key never does"},
      {"/self/"sv, "ends in '/', which a key never does"},
      {"//a"sv, "has an empty part"},
      {"/self//a"sv, "has an empty part"},
      {"/self/./a"sv, "has the part \".\""},
      {"/self/../shared/a"sv, "has the part \"..\""},
      {"/self/.."sv, "has the part \"..\""},
      {"/../a"sv, "has the part \"..\""},
      {"/self/a\0b"sv, "has a control character"},
      {"/self/a\nb"sv, "has a control character"},
      {"/self/\x1B[2J"sv, "has a control character"},
      {"/self/\x7F"sv, "has a control character"},
      {"/self/\xC2\x80"sv, "has a control character"},  // C1
      {"/self/\xC2\x9F"sv, "has a control character"},
      {"/self/\xFF"sv, "is not UTF-8"},
      {"/self/\x80"sv, "is not UTF-8"},
      {"/self/\xC3"sv, "is not UTF-8"},                // truncated
      {"/self/\xC0\xAF"sv, "is not UTF-8"},            // '/' in two bytes
      {"/self/\xC0\xAE\xC0\xAE/a"sv, "is not UTF-8"},  // ".." in four
      {"/self/\xE0\x80\xAF"sv, "is not UTF-8"},        // '/' in three
      {"/self/\xED\xA0\x80"sv, "is not UTF-8"},        // a surrogate
      {"/self/\xF4\x90\x80\x80"sv, "is not UTF-8"},    // above U+10FFFF
      {"/self/\xC3z"sv, "is not UTF-8"},
  };
  for (const auto& [key, reason] : kBad) {
    EXPECT_EQ(refusal_of(check_key(key, 512)), reason) << key;
  }
}

TEST(Key, LengthIsInBytes) {
  const auto key = "/self/" + std::string(506, 'x');
  EXPECT_EQ(refusal_of(check_key(key, 512)), "");
  EXPECT_EQ(refusal_of(check_key(key + "x", 512)), "has 513 bytes, but at most 512 are allowed");
  EXPECT_EQ(refusal_of(check_prefix(key + "/", 512)), "has 513 bytes, but at most 512 are allowed");
}

TEST(Key, Prefixes) {
  for (const auto prefix : {"/"sv, "/vm/"sv, "/self/"sv, "/self/a/"sv, "/self/a"sv})
    EXPECT_EQ(refusal_of(check_prefix(prefix, 512)), "") << prefix;
  EXPECT_EQ(refusal_of(check_prefix("/self//", 512)), "has an empty part");
  EXPECT_EQ(refusal_of(check_prefix("//", 512)), "has an empty part");
  EXPECT_EQ(refusal_of(check_prefix("/self/../", 512)), "has the part \"..\"");
  EXPECT_EQ(refusal_of(check_prefix("", 512)), "does not begin with '/'");
  EXPECT_EQ(refusal_of(check_prefix("/self/\xFF/", 512)), "is not UTF-8");
}

TEST(Key, APrefixCoversWhatIsBelowIt) {
  EXPECT_TRUE(covers("/", "/vm/a/x"));
  EXPECT_TRUE(covers("/vm/a/", "/vm/a/x/y"));
  EXPECT_TRUE(covers("/vm/a/x", "/vm/a/x"));
  EXPECT_FALSE(covers("/vm/a/x", "/vm/a/xy"));
  EXPECT_FALSE(covers("/vm/a/x", "/vm/a/x/y"));
  EXPECT_FALSE(covers("/vm/a/", "/vm/ab/x"));
  EXPECT_FALSE(covers("/vm/a/x/", "/vm/a/x"));
}

TEST(Key, Namespaces) {
  EXPECT_EQ(namespace_of("/shared/a"), "/shared/");
  EXPECT_EQ(namespace_of("/shared/"), "/shared/");
  EXPECT_EQ(namespace_of("/vm/web1/a/b"), "/vm/web1/");
  EXPECT_EQ(namespace_of("/vm/web1/"), "/vm/web1/");
  for (const auto none : {""sv, "/"sv, "/vm/"sv, "/vm//"sv, "/vm/web1"sv, "/shared"sv, "/self/a"sv, "/vmx/a/"sv})
    EXPECT_EQ(namespace_of(none), "") << none;
  EXPECT_EQ(vm_of("/vm/web1/a"), "web1");
  EXPECT_EQ(vm_of("/shared/a"), "");
  EXPECT_EQ(vm_of("/vm/web1"), "");
  EXPECT_EQ(vm_prefix("web1"), "/vm/web1/");
}

}  // namespace
}  // namespace hostcall::daemon::store
