// A reload on its way: it has taken effect, but listeners of VMs that were removed or registered again are still open.
#include "daemon/calls/reloader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/rig.h"
#include "tests/support/test_methods.h"

namespace hostcall::daemon {
namespace {

using test::Rig;
using test::WireClient;
using ::testing::HasSubstr;

constexpr char kPing[] = "hostcall.v1.Session/Ping";
constexpr char kChanged[] = "the VM was removed or registered again";

std::string json_of(const std::string& name, const std::string& path, const std::string& more = "") {
  return R"({"name": ")" + name + R"(", "unix_path": ")" + path + "\"" + more + "}";
}

std::string by_uid(uid_t uid) { return R"(, "vmm_uid": )" + std::to_string(uid); }

// Connects to the path, and sends a request, at the end of each turn in which VM "a" has lost it but is not yet told
// so.
class LateCallers final : public TurnEnd {
 public:
  LateCallers(Rig& rig, std::string path) : rig_(rig), path_(std::move(path)), registration_(rig.vm("a").registration) {
    rig_.reactor.at_turn_end(*this);
  }
  ~LateCallers() override { rig_.reactor.forget(*this); }

  std::vector<std::unique_ptr<WireClient>> peers;

 private:
  void on_turn_end() override {
    const auto owner = rig_.registry.find_by_path(path_);
    if (rig_.log().find("VM \"a\" removed") != std::string::npos) return;
    rig_.reactor.at_turn_end(*this);
    if (owner && owner->registration == registration_) return;
    peers.push_back(std::make_unique<WireClient>("unix:" + path_, [this] { rig_.settle(); }));
    EXPECT_EQ(peers.back()->start(kPing, ""), 1u);
  }
  Rig& rig_;
  const std::string path_;
  const std::uint64_t registration_;
};

class ReloadOnItsWay : public testing::Test {
 protected:
  ReloadOnItsWay() {
    test::register_test_methods(rig_.router);
    rig_.start();
  }

  // From this VM and many others, which the reload removes before it, to this one.
  void reload(const std::string& before, const std::string& after) {
    std::string others;
    for (int i = 0; i < 1000; ++i)
      others += R"(, {"name": "o)" + std::to_string(i) + R"(", "cid": )" + std::to_string(1000 + i) + "}";
    rig_.write_vms(R"({"vms": [)" + before + others + "]}");
    ASSERT_TRUE(rig_.reload().ok());
    rig_.log();
    early_ = rig_.peer("x");
    rig_.settle();
    rig_.write_vms(R"({"vms": [)" + after + "]}");
    LateCallers late(rig_, path_);
    ASSERT_TRUE(rig_.reload().ok());
    check(late);
  }

  // At least one was accepted: the others were behind it when the listener was closed.
  static void check(LateCallers& late) {
    int refused = 0;
    for (const auto& peer : late.peers) {
      const auto answer = peer->finish(1);
      EXPECT_FALSE(answer.arrived && answer.status.ok()) << "admitted by the listener of another registration";
      if (!answer.arrived || answer.status.message.find(kChanged) == std::string::npos) continue;
      EXPECT_EQ(answer.status.code, Code::kUnavailable) << "it may try again";
      ++refused;
    }
    EXPECT_GT(refused, 0) << "of " << late.peers.size();
  }

  Rig rig_;
  const std::string path_ = rig_.path_of("x");
  std::unique_ptr<WireClient> early_;  // accepted before the reload; has sent nothing
};

TEST_F(ReloadOnItsWay, AnOpenListenerAdmitsNobodyWhenItsUidIsNoLongerDemanded) {
  reload(json_of("a", path_, by_uid(::getuid() + 1)), json_of("a", path_));
  const auto answer = early_->call(kPing);
  EXPECT_EQ(answer.status.code, Code::kPermissionDenied) << "who was refused stays refused";
  EXPECT_THAT(answer.status.message, HasSubstr("requires uid"));
  EXPECT_EQ(rig_.peer("x")->hello().vm_name(), "a") << "the new listener serves it";
}

TEST_F(ReloadOnItsWay, ALateCallerOfOneVmIsNotTheNextOneWithItsPath) {
  reload(json_of("a", path_), json_of("b", path_));
  EXPECT_TRUE(early_->wait_for_close()) << "its VM is gone";
  EXPECT_EQ(rig_.peer("x")->hello().vm_name(), "b");
}

TEST_F(ReloadOnItsWay, APathThatPassesOnAtOnceHasANewListener) {
  VmRecord record;
  record.name = "a";
  record.unix_path = path_;
  const auto add = [&] { return rig_.registry.add(record, false).vm; };
  ASSERT_TRUE(rig_.server.vm_added(*add()).ok());
  ASSERT_NE(rig_.registry.remove("a").vm, nullptr);
  const auto again = add();
  EXPECT_EQ(rig_.peer("x")->call(kPing).status.message, kChanged);
  ASSERT_TRUE(rig_.server.vm_added(*again).ok());
  EXPECT_EQ(rig_.peer("x")->hello().vm_name(), "a");
}

}  // namespace
}  // namespace hostcall::daemon
