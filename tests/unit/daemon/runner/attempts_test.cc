// Connection attempts of a session of hostcall-runner whose processes take their time to end.
#include <gtest/gtest.h>

#include <deque>
#include <optional>
#include <vector>

#include "daemon/runner/packet.h"
#include "daemon/runner/session.h"
#include "tests/support/temp_dir.h"

namespace hostcall::daemon {
namespace {

// Its attempts end only when the test says so.
class SlowHost final : public ProgramHost {
 public:
  class Attempt final : public ConnectionAttempt {
   public:
    Attempt(SlowHost& host, AttemptObserver& observer) : host_(host), observer_(observer) {}
    bool stop() override {
      host_.stopped.push_back(&observer_);
      return false;
    }

   private:
    SlowHost& host_;
    AttemptObserver& observer_;
  };
  wire::Status check(const ProgramOrder&) override { return {}; }
  wire::Status check(const ConnectOrder&) override { return {}; }
  std::unique_ptr<HostedProgram> start(ProgramOrder, std::array<UniqueFd, 3>, HostObserver&) override {
    return nullptr;
  }
  std::unique_ptr<ConnectionAttempt> connect(const ConnectOrder&, AttemptObserver& observer) override {
    ++started;
    return std::make_unique<Attempt>(*this, observer);
  }
  std::size_t started = 0;
  std::deque<AttemptObserver*> stopped;
};

class AttemptsTest : public testing::Test {
 protected:
  AttemptsTest() {
    directory_.write("services.d/a.json", R"({"name": "agent", "socket": "unix:/run/agent.sock", "user": "alice"})");
    digest_ = services_.current().find("agent")->digest;
    auto pair = packet_socket_pair();
    hostcalld_ = std::move(pair->first);
    session_.emplace(reactor_, std::move(pair->second), services_, host_, running_,
                     [this](const std::string&) { is_over_ = true; });
  }
  void ask(runner::Request request, std::uint64_t id) {
    request.set_id(id);
    ASSERT_TRUE(send_packet(hostcalld_.get(), {request.SerializeAsString(), {}}).ok());
    reactor_.run_ready();
  }
  void connect(std::uint64_t id) {
    runner::Request request;
    auto& target = *request.mutable_connect()->mutable_target();
    target.set_service("agent");
    target.set_digest(digest_);
    target.set_vm("web1");
    ask(request, id);
  }
  void cancel(std::uint64_t id) {
    runner::Request request;
    request.mutable_cancel();
    ask(request, id);
  }
  void end_one() {
    host_.stopped.front()->on_stopped();
    host_.stopped.pop_front();
    reactor_.run_ready();
  }

  test::TempDir directory_;
  Reactor reactor_;
  ServiceCache services_{{directory_ / "services.d"}};
  SlowHost host_;
  Running running_;
  UniqueFd hostcalld_;
  std::string digest_;
  bool is_over_ = false;
  std::optional<RunnerSession> session_;
};

TEST_F(AttemptsTest, ThoseThatStillEndCountToo) {
  for (std::uint64_t id = 1; id <= 300; ++id) {
    connect(id);
    cancel(id);
  }
  EXPECT_EQ(host_.started, 128u);
  end_one();
  connect(1000);
  EXPECT_EQ(host_.started, 129u);
  cancel(1000);
  while (!host_.stopped.empty()) end_one();
  connect(1001);
  EXPECT_EQ(host_.started, 130u);
  hostcalld_.reset();
  reactor_.run_ready();
  EXPECT_FALSE(is_over_);
  end_one();
  EXPECT_TRUE(is_over_);
}

}  // namespace
}  // namespace hostcall::daemon
