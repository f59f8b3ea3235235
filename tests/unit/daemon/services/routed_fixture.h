// A routed service, acme.v1.Inventory, whose server the test scripts.
#pragma once

#include <algorithm>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "daemon/services/routed_service.h"
#include "hostcall/v1/session.hostcall.h"
#include "tests/support/descriptors.h"
#include "tests/support/scripted_backend.h"
#include "tests/unit/daemon/services/fixture.h"

namespace hostcall::daemon::test {

using hostcall::test::Answer;
using hostcall::test::ScriptedBackend;
using wire::Shape;

inline constexpr char kInventory[] = "acme.v1.Inventory";
using Pairs = std::vector<std::pair<std::string, std::string>>;

class RoutedFixture : public ServicesFixture {
 protected:
  explicit RoutedFixture(std::string protocol, const RigOptions& options = {})
      : ServicesFixture(options), protocol_(std::move(protocol)) {
    rig_.router.protocol<v1::Session::Hello>(Audience::kGuest);
    rig_.router.add_routes(routed_);
    rig_.start();
    use();
  }
  // Before the routes die.
  ~RoutedFixture() override { rig_.stop(); }

  // The service's entry, with these members beside the necessary ones.
  void use(const std::string& members = "") {
    rig_.use_services(entry(R"(, "streaming": true, "concurrent_per_vm": 40)" + members));
  }
  std::string entry(const std::string& members) const {
    return R"({"service": "acme.v1.Inventory", "protocol": ")" + protocol_ + R"(", "ttrpc": "unix:)" + path() + "\"" +
           members + "}";
  }
  std::string path() const { return rig_.directory / "inventory.sock"; }
  bool is_ttrpc() const { return protocol_ == "ttrpc"; }

  // Lets everything happen that can at this time, on both sides.
  void settle() override {
    do rig_.settle();
    while (backend_.pump());
  }
  std::uint32_t ask(WireClient& caller, const std::string& method = "Get", const std::string& payload = "request",
                    Shape shape = Shape::kUnary, Duration timeout = {}, const Pairs& metadata = {}) {
    caller.metadata.clear();
    for (const auto& [key, value] : metadata) caller.metadata.push_back({key, value});
    const auto stream = caller.start(std::string(kInventory) + "/" + method, payload, shape, timeout);
    settle();
    return stream;
  }
  std::uint32_t ask_stream(WireClient& caller, Shape shape, const std::string& payload = "") {
    return ask(caller, "Stream", payload, shape);
  }
  void send(WireClient& caller, std::uint32_t stream, const std::string& message) {
    ASSERT_TRUE(caller.send(stream, message));
    settle();
  }
  // What the server answers, as the caller gets it.
  Answer answered(WireClient& caller, std::uint32_t stream, const std::string& payload, const Status& status = {}) {
    backend_.answer(payload, status);
    settle();
    return caller.finish(stream);
  }
  // Whether a whole call succeeds.
  bool works(WireClient& caller) {
    const auto before = backend_.calls.size();
    const auto stream = ask(caller);
    if (backend_.calls.size() != before + 1) return false;
    return answered(caller, stream, "reply").payload == "reply";
  }
  std::vector<std::string> received(WireClient& caller, std::uint32_t stream) {
    settle();
    std::vector<std::string> messages;
    while (auto message = caller.receive(stream)) messages.push_back(std::move(*message));
    return messages;
  }
  void expect_nothing_left(const std::string& vm = "web1") {
    EXPECT_EQ(used(vm, Resource::kMemory), 0u);
    EXPECT_EQ(used(vm, Resource::kStreams), 0u);
    EXPECT_EQ(rig_.catalog.calls_of(kInventory), 0u);
  }
  static void expect(const Answer& answer, Code code, const std::string& text) {
    ASSERT_TRUE(answer.arrived);
    expect_refused(answer.status, code, text);
  }

  const std::string protocol_;
  ScriptedBackend backend_{path()};
  // Without heartbeats, because time passes without the server.
  Timeouts timeouts_{.heartbeat = Duration::zero()};
  // The test serves the socket in this process.
  const HostCallEnvironment environment_{.reactor = rig_.reactor,
                                         .catalog = rig_.catalog,
                                         .runner = runner_,
                                         .calls = host_calls_,
                                         .own_pid = -1,
                                         .timeouts = timeouts_};
  RoutedServices routed_{environment_};
};

// Looks at a number at the end of each turn, and keeps by how much it has changed at most.
class TurnWatcher final : public TurnEnd {
 public:
  TurnWatcher(Reactor& reactor, std::function<std::size_t()> number)
      : reactor_(reactor), number_(std::move(number)), last_(number_()) {
    reactor_.at_turn_end(*this);
  }
  ~TurnWatcher() override { reactor_.forget(*this); }
  std::size_t most() const { return most_; }

 private:
  // Turns go on as long as the number changes.
  void on_turn_end() override {
    const auto now = number_();
    most_ = std::max(most_, std::max(now, last_) - std::min(now, last_));
    if (now != last_ || ++still_ < 10) reactor_.at_turn_end(*this);
    if (now != last_) still_ = 0;
    last_ = now;
  }
  Reactor& reactor_;
  const std::function<std::size_t()> number_;
  std::size_t last_ = 0, most_ = 0;
  int still_ = 0;  // turns without a change
};

// With a server of either protocol.
class RoutedTest : public RoutedFixture, public testing::WithParamInterface<const char*> {
 protected:
  RoutedTest() : RoutedFixture(GetParam()) {}
};

inline std::string name_of_protocol(const testing::TestParamInfo<const char*>& info) { return info.param; }

#define HOSTCALL_BOTH_PROTOCOLS(Suite) \
  INSTANTIATE_TEST_SUITE_P(Both, Suite, testing::Values("ttrpc", "hostcall"), name_of_protocol)

}  // namespace hostcall::daemon::test
