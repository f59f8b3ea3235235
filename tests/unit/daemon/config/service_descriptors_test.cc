// The methods of a routed service, from sets of descriptors that are right, wrong or hostile.
#include "daemon/config/service_descriptors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/descriptors.h"
#include "tests/support/temp_dir.h"

namespace hostcall::daemon {
namespace {

using test::delimited;
using test::descriptor_set;
using test::file_descriptor;
using ::testing::HasSubstr;

const std::string kInventory = file_descriptor(
    "acme.v1", "Inventory",
    {{.name = "Get"}, {.name = "List", .server_streams = true}, {.name = "Put", .client_streams = true}});

void expect_refused(const std::string& set, const std::string& text, std::string_view service = "acme.v1.Inventory") {
  const auto found = find_service(set, service);
  ASSERT_FALSE(found.ok());
  EXPECT_THAT(found.error().message(), HasSubstr(text));
}

TEST(ServiceDescriptors, HaveTheMethodsOfTheService) {
  const auto set = descriptor_set({file_descriptor("acme.v1", "Other", {{.name = "No"}}), kInventory,
                                   file_descriptor("acme.v2", "Inventory", {{.name = "No"}})});
  const auto found = find_service(set, "acme.v1.Inventory");
  ASSERT_TRUE(found.ok()) << found.error().message();
  EXPECT_EQ(found->set, set);
  ASSERT_EQ(found->methods.size(), 3u);
  EXPECT_FALSE(found->methods.at("Get").client_streams || found->methods.at("Get").server_streams);
  EXPECT_FALSE(found->methods.at("List").client_streams);
  EXPECT_TRUE(found->methods.at("List").server_streams);
  EXPECT_TRUE(found->methods.at("Put").client_streams);
  EXPECT_FALSE(found->methods.at("Put").server_streams);
}

TEST(ServiceDescriptors, APackageMayBeMissing) {
  const auto found = find_service(descriptor_set({file_descriptor("", "Plain", {{.name = "Do"}})}), "Plain");
  ASSERT_TRUE(found.ok()) << found.error().message();
  EXPECT_TRUE(found->methods.contains("Do"));
}

TEST(ServiceDescriptors, MustHaveTheService) {
  expect_refused("", "describes no service \"acme.v1.Inventory\"");
  expect_refused(descriptor_set({file_descriptor("acme.v1", "Inventory", {})}), "with a method");
  for (const auto* other : {"acme.v1.inventory", "acme.v1.Inventor", "Inventory", "acme.Inventory", "v1.Inventory"})
    expect_refused(descriptor_set({kInventory}), "describes no service", other);
}

TEST(ServiceDescriptors, DescribeNothingOfHostcall) {
  for (const auto* package : {"hostcall", "hostcall.v1", "hostcall.anything.v9"})
    expect_refused(descriptor_set({kInventory, file_descriptor(package, "Admin", {{.name = "Do"}})}),
                   "hostcall's own package");
  EXPECT_TRUE(
      find_service(descriptor_set({kInventory, file_descriptor("hostcalls", "X", {})}), "acme.v1.Inventory").ok());
}

TEST(ServiceDescriptors, OtherBytesAreNoSet) {
  for (const auto& bytes : {std::string("text"), std::string("\x0a\xff\xff\xff\xff\x0f", 6), std::string("\x08\x01"),
                            std::string("\x0a"), delimited(2, kInventory), delimited(1, "\xff"),
                            delimited(1, delimited(2, "acme.v1") + "\x32\x7f"), std::string(100'000, '\x0a')})
    expect_refused(bytes, "it is no FileDescriptorSet");
}

// What is cut anywhere is refused, or has fewer methods; nothing is read beyond it.
TEST(ServiceDescriptors, APartOfASetIsNoWholeSet) {
  const auto set = descriptor_set({kInventory});
  for (std::size_t bytes = 0; bytes < set.size(); ++bytes) {
    const std::string exact(set.data(), bytes);
    EXPECT_FALSE(find_service(exact, "acme.v1.Inventory").ok()) << bytes;
  }
}

TEST(ServiceDescriptors, AFileMustBeTrustedAndSmall) {
  const test::TempDir directory;
  const auto path = directory.write("inventory.desc", descriptor_set({kInventory}));
  ASSERT_TRUE(read_descriptors(path, "acme.v1.Inventory").ok());
  const auto refused = [&](const std::string& file) {
    return read_descriptors(file, "acme.v1.Inventory").error().message();
  };
  EXPECT_THAT(refused(directory / "missing"), HasSubstr("missing"));
  EXPECT_THAT(refused(directory.write("other", "text")), HasSubstr("other"));
  (void)refused(directory.path());
  (void)refused("/dev/zero");
  directory.write("large", std::string(kMaxDescriptorBytes + 1, '\0'));
  EXPECT_FALSE(read_descriptors(directory / "large", "acme.v1.Inventory").ok());
  std::filesystem::permissions(path, std::filesystem::perms::others_write, std::filesystem::perm_options::add);
  EXPECT_THAT(refused(path), HasSubstr("inventory.desc"));
}

}  // namespace
}  // namespace hostcall::daemon
