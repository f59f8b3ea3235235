// A thousand calls that use programs and sockets of the host, each broken off in a random way at a random time: nothing
// is left of them, neither a process nor a descriptor.
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <memory>
#include <random>
#include <sstream>

#include "hostcall/v1/relay.pb.h"
#include "hostcall/v1/run.pb.h"
#include "proto/net/socket.h"
#include "tests/support/daemon_process.h"
#include "tests/support/patience.h"
#include "tests/support/sanitized.h"
#include "tests/support/seed.h"
#include "tests/support/wire_client.h"

namespace hostcall::test {
namespace {

namespace fs = std::filesystem;

constexpr int kCalls = kSanitized ? 300 : 1000;
constexpr std::size_t kClients = 4;

std::string text_of(const fs::path& file) {
  std::ostringstream text;
  text << std::ifstream(file, std::ios::binary).rdbuf();
  return text.str();
}

std::vector<fs::path> processes() {
  std::vector<fs::path> found;
  for (const auto& entry : fs::directory_iterator("/proc"))
    if (std::isdigit(static_cast<unsigned char>(entry.path().filename().string()[0])) != 0)
      found.push_back(entry.path());
  return found;
}

std::size_t descriptors_of(pid_t pid) {
  std::error_code gone;
  const fs::directory_iterator open("/proc/" + std::to_string(pid) + "/fd", gone);
  return gone ? 0 : static_cast<std::size_t>(std::distance(begin(open), end(open)));
}

class AbortsTest : public testing::Test {
 protected:
  AbortsTest() { listener_ = net::listen(net::unix_address(daemon_.directory() / "peer.sock")).value(); }

  // A time that no other process sleeps for.
  static std::string long_time() { return "100000." + std::to_string(::getpid()); }
  static std::size_t programs_left() {
    const auto all = processes();
    return static_cast<std::size_t>(std::ranges::count_if(all, [](const fs::path& process) {
      return text_of(process / "cmdline").find(long_time()) != std::string::npos;
    }));
  }
  std::size_t children() {
    const auto parent = std::to_string(daemon_.process().pid());
    const auto all = processes();
    return static_cast<std::size_t>(std::ranges::count_if(all, [&](const fs::path& process) {
      const auto status = text_of(process / "status");
      return status.find("\nPPid:\t" + parent + "\n") != std::string::npos;
    }));
  }

  static std::string services() {
    const auto t = long_time();
    const std::string scripts[] = {"sleep " + t,
                                   "(setsid sleep " + t + " &); sleep " + t,
                                   "trap '' TERM HUP; while :; do sleep " + t + "; done",
                                   "cat; sleep " + t,
                                   "sleep " + t + " & while :; do echo a line; done",
                                   "sleep " + t + " & exec true"};
    std::string list = R"({"services": [{"name": "peer", "socket": "unix:@DIR@/peer.sock", "concurrent_per_vm": 60})";
    for (std::size_t i = 0; i < std::size(scripts); ++i)
      list += R"(, {"name": "program)" + std::to_string(i) + R"(", @USER@"run": ["/bin/sh", "-c", ")" + scripts[i] +
              R"("], "start_rate": 1000, "concurrent_per_vm": 60})";
    return list + "]}";
  }

  // It stays, so it belongs to what was there before.
  void start_the_runner() {
    v1::StartRequest request;
    request.set_service("program5");
    const auto stream =
        some_client().start("hostcall.v1.Run/Start", request.SerializeAsString(), wire::Shape::kBidiStream);
    for (auto& client : clients_)
      if (client) client->finish(stream);
    for (auto& client : clients_) client.reset();
  }
  WireClient& some_client() {
    auto& client = clients_[random_() % kClients];
    if (!client || client->closed()) {
      client = std::make_unique<WireClient>(daemon_.vm_address("web1"));
      client->hello();
    }
    return *client;
  }
  std::uint32_t start(WireClient& client) {
    const auto kind = random_() % 7;
    if (kind == 6) {
      v1::OpenRequest request;
      request.set_service("peer");
      request.set_data(std::string(random_() % 5000, 'x'));
      return client.start("hostcall.v1.Relay/Open", request.SerializeAsString(), wire::Shape::kBidiStream);
    }
    v1::StartRequest request;
    request.set_service("program" + std::to_string(kind));
    request.set_stdin_data(std::string(random_() % 5000, 'x'));
    return client.start("hostcall.v1.Run/Start", request.SerializeAsString(), wire::Shape::kBidiStream);
  }
  void break_off(WireClient& client, std::uint32_t stream) {
    if (client.closed() || client.ended(stream)) return;
    switch (random_() % 4) {
      case 0: return clients_[random_() % kClients].reset();  // and so all its calls
      case 1: return client.close_send(stream);               // what lasts ends with the connection
      default: return client.cancel(stream);
    }
  }
  // What the daemon connects to: dropped sooner or later.
  void serve_peer() {
    while (auto accepted = take_peer()) peers_.push_back(*std::move(accepted));
    if (peers_.size() > 20) peers_.erase(peers_.begin(), peers_.begin() + 10);
  }
  std::optional<UniqueFd> take_peer() {
    auto accepted = net::accept(listener_.get());
    return accepted.ok() ? std::optional(std::move(accepted).value()) : std::nullopt;
  }

  DaemonProcess daemon_{{.vms = {"web1"},
                         .config_json = R"("limits": {"connect_rate": 10000, "connect_burst": 10000})",
                         .services_json = services(),
                         .timeouts_ms = {{"drain_ms", 100}}}};
  UniqueFd listener_;
  std::vector<UniqueFd> peers_;
  std::mt19937 random_{fresh_seed()};
  std::unique_ptr<WireClient> clients_[kClients];
};

TEST_F(AbortsTest, LeaveNothing) {
  start_the_runner();
  const auto pid = daemon_.process().pid();
  const auto descriptors = descriptors_of(pid);

  for (int call = 0; call < kCalls; ++call) {
    auto& client = some_client();
    const auto stream = start(client);
    serve_peer();
    client.pump(std::chrono::milliseconds(random_() % 4));
    break_off(client, stream);
  }
  for (auto& client : clients_) client.reset();
  peers_.clear();
  EXPECT_TRUE(eventually([&] { return programs_left() == 0; })) << programs_left();
  EXPECT_TRUE(eventually([&] { return descriptors_of(pid) <= descriptors; }))
      << descriptors_of(pid) << " after " << descriptors;
  EXPECT_LE(children(), 1u);
  std::printf("%d calls broken off: %zu programs, %zu descriptors of %zu, %zu children\n", kCalls, programs_left(),
              descriptors_of(pid), descriptors, children());
  EXPECT_EQ(daemon_.stop(), 0);
  EXPECT_EQ(programs_left(), 0u);
}

}  // namespace
}  // namespace hostcall::test
