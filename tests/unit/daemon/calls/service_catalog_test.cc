// The services in force: who finds which, and how many calls use each.
#include "daemon/calls/service_catalog.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "tests/support/temp_dir.h"

namespace hostcall::daemon {
namespace {

using hostcall::test::TempDir;
using testing::HasSubstr;
using wire::Code;
using wire::Status;

constexpr TimePoint kStart = TimePoint() + seconds(1000);

class ServiceCatalogTest : public testing::Test {
 protected:
  ServiceCatalogTest() {
    listener_ = std::make_shared<const std::string>("unix:/x");
    use(R"("concurrent": 3, "concurrent_per_vm": 2, "start_rate": 1, "start_burst": 2)");
  }
  Services services(const std::string& members) {
    directory_.write("a.json", R"({"services": [{"name": "job", "run": ["/bin/job"], )" + members +
                                   R"(}, {"name": "broken", "run": []}]})");
    return Services::read({directory_.path()});
  }
  void use(const std::string& members) { (void)catalog_.exchange(services(members)); }
  const Caller& vm(const std::string& name) {
    auto& caller = callers_[name];
    caller.listener = listener_;
    if (!caller.vm) caller.vm = std::make_shared<Vm>(VmRecord{.name = name}, "a.json:1", 1, Limits{});
    return caller;
  }
  // Keeps its place until give_back().
  Status take(const std::string& name, TimePoint now = kStart) {
    ServiceSlot slot;
    auto status = catalog_.take(*catalog_.services().find("job"), vm(name), now, slot);
    if (status.ok()) slots_.push_back(std::move(slot));
    return status;
  }
  void give_back() { slots_.clear(); }

  TempDir directory_;
  std::shared_ptr<const std::string> listener_;
  std::map<std::string, Caller> callers_;
  ServiceCatalog catalog_{{}};
  std::vector<ServiceSlot> slots_;
};

TEST_F(ServiceCatalogTest, FindsWhatThereIs) {
  std::shared_ptr<const ServiceRecord> found;
  EXPECT_TRUE(catalog_.find("job", found).ok());
  EXPECT_EQ(found->name, "job");
  EXPECT_EQ(catalog_.find("none", found).code, Code::kNotFound);
  EXPECT_EQ(found, nullptr);
  EXPECT_EQ(catalog_.find("broken", found).code, Code::kUnavailable);
}

TEST_F(ServiceCatalogTest, PlacesComeBack) {
  EXPECT_TRUE(take("web1").ok());
  EXPECT_TRUE(take("web1").ok());
  EXPECT_THAT(take("web1").message, HasSubstr("concurrent_per_vm (2)"));
  EXPECT_TRUE(take("db1").ok());
  EXPECT_THAT(take("db1").message, HasSubstr("the limit concurrent (3)"));
  EXPECT_EQ(catalog_.calls_of("job"), 3u);
  give_back();
  EXPECT_EQ(catalog_.calls_of("job"), 0u);
  EXPECT_TRUE(take("db1").ok());
}

TEST_F(ServiceCatalogTest, WhoFindsNoPlaceIsToldWhenToAskAgain) {
  EXPECT_TRUE(take("web1").ok());
  EXPECT_TRUE(take("web1").ok());
  EXPECT_GT(take("web1").retry_after, Duration::zero());
  EXPECT_TRUE(take("db1").ok());
  EXPECT_GT(take("db2").retry_after, Duration::zero());
}

TEST_F(ServiceCatalogTest, OnlyAPlaceThatIsTakenCostsAStart) {
  EXPECT_TRUE(take("web1").ok());
  EXPECT_TRUE(take("web1").ok());
  for (int i = 0; i < 10; ++i) EXPECT_FALSE(take("web1", kStart + seconds(1)).ok());
  give_back();
  EXPECT_TRUE(take("web1", kStart + seconds(1)).ok()) << "the refused ones took nothing off the rate";
  const auto over = take("web1", kStart + seconds(1));
  EXPECT_EQ(over.retry_after, seconds(1));
}

TEST_F(ServiceCatalogTest, AReloadKeepsWhatIsUsed) {
  EXPECT_TRUE(take("web1").ok());
  use(R"("concurrent": 1, "start_rate": 1, "start_burst": 2)");
  EXPECT_THAT(take("db1").message, HasSubstr("the limit concurrent (1)"));
  give_back();
  EXPECT_TRUE(take("web1").ok());
  give_back();
  EXPECT_THAT(take("web1").message, HasSubstr("start_rate")) << "and the rate, if it is the same";
  use(R"("start_rate": 100, "start_burst": 100)");
  EXPECT_TRUE(take("web1").ok());
}

TEST_F(ServiceCatalogTest, AServiceThatIsGoneIsForgottenWithItsLastCall) {
  EXPECT_TRUE(take("web1").ok());
  (void)catalog_.exchange({});
  EXPECT_EQ(catalog_.calls_of("job"), 1u);
  give_back();
  EXPECT_EQ(catalog_.calls_of("job"), 0u);
}

TEST_F(ServiceCatalogTest, VmsThatTakeNothingAreForgotten) {
  use(R"("start_rate": 1, "start_burst": 1)");
  EXPECT_TRUE(take("busy").ok());
  for (int i = 0; i < 10'000; ++i) {
    EXPECT_TRUE(take("vm" + std::to_string(i), kStart + seconds(i)).ok());
    slots_.resize(1);
  }
  EXPECT_LE(catalog_.known_vms("job"), 64u);
  EXPECT_THAT(take("vm9999", kStart + seconds(9999)).message, HasSubstr("start_rate"))
      << "who has used its rate is kept";
}

}  // namespace
}  // namespace hostcall::daemon
