// VM records: what is a good one, and what the complaint about a bad one says.
#include "daemon/config/vm_record.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/refusal.h"

namespace hostcall::daemon {
namespace {

using ::testing::HasSubstr;

VmRecord good() { return {.name = "web1", .uuid = {}, .tags = {"web"}, .cid = 42, .unix_path = {}, .limits = {}}; }

template <class Change>
std::string problem_after(Change change) {
  auto record = good();
  change(record);
  return test::refusal_of(check_record(record));
}

TEST(Names, HaveTheDocumentedForm) {
  for (const auto* name : {"a", "0", "web1", "web-1.example_x"}) EXPECT_TRUE(is_name(name)) << name;
  for (const auto* name : {"", "Web", "-web", ".web", "_web", "web 1", "wéb", "web/1", "*"})
    EXPECT_FALSE(is_name(name)) << name;
  EXPECT_TRUE(is_name(std::string(64, 'a')));
  EXPECT_FALSE(is_name(std::string(65, 'a')));
}

TEST(Records, GoodOnesPass) {
  EXPECT_EQ(test::refusal_of(check_record(good())), "");
  EXPECT_EQ(problem_after([](auto& r) { r.uuid = "8d4c6e0e-6a39-4b0c-9a57-3a6a3f2f1c11"; }), "");
  EXPECT_EQ(problem_after([](auto& r) { r.cid = 3; }), "");
  EXPECT_EQ(problem_after([](auto& r) { r.cid = 0xFFFFFFFE; }), "");
  EXPECT_EQ(problem_after([](auto& r) { r.cid = 0, r.unix_path = "/run/hostcall-vm/web1/vsock.sock_18499"; }), "");
  EXPECT_EQ(problem_after([](auto& r) { r.cid = 0, r.unix_path = "@web1", r.vmm_uid = 0; }), "");
  EXPECT_EQ(problem_after([](auto& r) { r.limits["streams"] = 1; }), "");
}

TEST(Records, TheComplaintNamesTheVmAndTheForm) {
  EXPECT_EQ(problem_after([](auto& r) { r.name = "Web\n1"; }),
            "VM name \"Web\\x0a1\" must have the form [a-z0-9][a-z0-9_.-]{0,63}");
  EXPECT_THAT(problem_after([](auto& r) { r.uuid = "8D4C6E0E-6A39-4B0C-9A57-3A6A3F2F1C11"; }),
              HasSubstr("VM \"web1\": uuid \"8D4C6E0E-6A39-4B0C-9A57-3A6A3F2F1C11\" must have the form xxxxxxxx-xxxx"));
  EXPECT_THAT(problem_after([](auto& r) { r.uuid = "8d4c6e0e6a394b0c9a573a6a3f2f1c11"; }), HasSubstr("uuid"));
  EXPECT_THAT(problem_after([](auto& r) { r.uuid = "8d4c6e0e-6a39-4b0c-9a57-3a6a3f2f1c1"; }), HasSubstr("uuid"));
}

TEST(Records, TagsAreFewNamesOnceEach) {
  EXPECT_THAT(problem_after([](auto& r) { r.tags = {"a b"}; }), HasSubstr("tag \"a b\" must have the form"));
  EXPECT_THAT(problem_after([](auto& r) { r.tags = {"a", "b", "a"}; }), HasSubstr("tag \"a\" is given twice"));
  EXPECT_THAT(problem_after([](auto& r) {
                r.tags.clear();
                for (std::size_t i = 0; i <= kMaxTags; ++i) r.tags.push_back("t" + std::to_string(i));
              }),
              HasSubstr("has 33 tags, but at most 32 are allowed"));
}

TEST(Records, ReservedCidsAreRefused) {
  for (const std::uint32_t cid : {1u, 2u, 0xFFFFFFFFu})
    EXPECT_THAT(problem_after([&](auto& r) { r.cid = cid; }),
                HasSubstr("cid " + std::to_string(cid) + " is never a guest's; a guest has one from 3 to 4294967294"));
}

TEST(Records, NeedAWayToBeRecognised) {
  EXPECT_THAT(problem_after([](auto& r) { r.cid = 0; }), HasSubstr("nothing to recognise it by; give it a cid"));
  EXPECT_EQ(problem_after([](auto& r) { r.cid = 0, r.vmm_uid = 1001; }), "") << "the daemon makes a listener";
}

TEST(Records, PathsAreCanonicalAndFitASocket) {
  const auto path_problem = [](const std::string& path) { return problem_after([&](auto& r) { r.unix_path = path; }); };
  EXPECT_THAT(path_problem("relative"), HasSubstr("unix_path: \"relative\": a Unix socket path starts with / or @"));
  EXPECT_THAT(path_problem("/" + std::string(107, 'x')), HasSubstr("108 bytes"));
  for (const auto* path : {"/a//b", "/a/./b", "/a/../b", "/a/", "/a/..", "//a"})
    EXPECT_THAT(path_problem(path), HasSubstr("must be written without")) << path;
  EXPECT_THAT(path_problem("/a\nb"), HasSubstr("must be UTF-8 without control characters"));
  EXPECT_THAT(path_problem("/a\xff"), HasSubstr("must be UTF-8 without control characters"));
  EXPECT_EQ(path_problem("/a..b/.c"), "");
}

TEST(Records, AnAbstractSocketNeedsTheUidOfItsVmm) {
  EXPECT_THAT(problem_after([](auto& r) { r.unix_path = "@fc1"; }),
              HasSubstr("\"@fc1\" is abstract, so every process of this host could connect; give the VM a vmm_uid"));
  EXPECT_EQ(problem_after([](auto& r) { r.unix_path = "@fc1", r.vmm_uid = 1001; }), "");
}

TEST(Records, LimitsAreCheckedByTheTable) {
  EXPECT_THAT(problem_after([](auto& r) { r.limits["stream"] = 1; }), HasSubstr("there is no limit \"stream\""));
  EXPECT_THAT(problem_after([](auto& r) { r.limits["streams"] = 0; }), HasSubstr("limit streams is 0, but must be"));
}

TEST(Records, OwnLimitsStandInForTheDefaults) {
  auto record = good();
  record.limits["connections"] = 3;
  Limits expected{.streams = 9};
  EXPECT_NE(limits_of(record, expected), expected);
  const auto limits = limits_of(record, expected);
  expected.connections = 3;
  EXPECT_EQ(limits, expected);
}

}  // namespace
}  // namespace hostcall::daemon
