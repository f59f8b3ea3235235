// What systemd sees: sockets passed by it, READY, RELOADING, STOPPING, STATUS and the watchdog, without systemd itself.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "proto/net/socket.h"
#include "tests/support/daemon_process.h"
#include "tests/support/wire_client.h"

namespace hostcall::test {
namespace {

// The socket that $NOTIFY_SOCKET names.
class NotifySocket {
 public:
  explicit NotifySocket(const std::string& path)
      : fd_(UniqueFd::adopt(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0))) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    EXPECT_EQ(::bind(fd_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  }
  // Reads messages until one holds the text; everything read stays in seen().
  bool wait_for(const std::string& text) {
    const auto end = Clock::now() + kPatience;
    while (seen_.find(text) == std::string::npos) {
      pollfd ready{fd_.get(), POLLIN, 0};
      // The watchdog's messages never stop.
      if (Clock::now() > end || ::poll(&ready, 1, static_cast<int>(kPatience.count())) <= 0) return false;
      char buffer[1024];
      const auto got = ::recv(fd_.get(), buffer, sizeof buffer, 0);
      if (got > 0) seen_ += std::string(buffer, static_cast<std::size_t>(got)) + "\n";
    }
    return true;
  }
  const std::string& seen() const { return seen_; }
  void forget() { seen_.clear(); }

 private:
  UniqueFd fd_;
  std::string seen_;
};

TEST(Systemd, IsToldOfEachStep) {
  DaemonProcess daemon;
  EXPECT_EQ(daemon.stop(), 0);
  NotifySocket notify(daemon.directory() / "notify");
  Process process({program("hostcalld"), "--config", daemon.config_file()},
                  {.environment = {{"NOTIFY_SOCKET", daemon.directory() / "notify"}, {"WATCHDOG_USEC", "400000"}}});
  EXPECT_TRUE(notify.wait_for("READY=1")) << notify.seen();
  EXPECT_TRUE(notify.wait_for("STATUS=VMs: 2,")) << notify.seen();
  notify.forget();
  EXPECT_TRUE(notify.wait_for("WATCHDOG=1")) << notify.seen();
  notify.forget();
  EXPECT_TRUE(notify.wait_for("WATCHDOG=1")) << "again and again";
  process.signal(SIGHUP);
  EXPECT_TRUE(notify.wait_for("RELOADING=1")) << notify.seen();
  EXPECT_TRUE(notify.wait_for("MONOTONIC_USEC=")) << notify.seen();
  EXPECT_TRUE(notify.wait_for("READY=1")) << notify.seen();
  process.signal(SIGTERM);
  EXPECT_TRUE(notify.wait_for("STOPPING=1")) << notify.seen();
  EXPECT_EQ(process.wait(), 0);
}

// LISTEN_PID must be the daemon's own pid: the shell sets it and then becomes the daemon.
TEST(Systemd, PassesSocketsThatOutliveTheDaemon) {
  DaemonProcess daemon;
  EXPECT_EQ(daemon.stop(), 0);
  auto address = net::Address::parse(daemon.vm_address("web1"));
  auto listener = net::listen(*address, 0600);
  ASSERT_TRUE(listener.ok()) << listener.error().message();
  const auto passed = UniqueFd::adopt(::fcntl(listener->get(), F_DUPFD, 50));  // inherited: without CLOEXEC
  ASSERT_TRUE(passed);
  const std::vector<std::string> argv = {
      "/bin/bash", "-c",
      "exec 3<&" + std::to_string(passed.get()) + "; LISTEN_FDS=1 LISTEN_PID=$$ exec \"$0\" --config \"$1\"",
      program("hostcalld"), daemon.config_file()};
  {
    // The first caller comes before the daemon runs: it waits in the backlog.
    WireClient early(daemon.vm_address("web1"));
    Process first(argv);
    EXPECT_EQ(early.hello().vm_name(), "web1");
    first.signal(SIGTERM);
    EXPECT_TRUE(early.wait_for_close());
    EXPECT_EQ(first.wait(), 0);
  }
  // The socket file is still there, and a caller between two daemons is not refused.
  WireClient between(daemon.vm_address("web1"));
  Process second(argv);
  EXPECT_EQ(between.hello().vm_name(), "web1");
  second.signal(SIGTERM);
  EXPECT_EQ(second.wait(), 0);
}

}  // namespace
}  // namespace hostcall::test
