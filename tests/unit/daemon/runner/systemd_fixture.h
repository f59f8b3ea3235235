// SystemdFixture: a SystemdHost with a systemd that the test plays.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "daemon/runner/systemd_host.h"
#include "tests/support/temp_dir.h"
#include "tests/unit/daemon/runner/fake_systemd.h"

namespace hostcall::daemon {

class News final : public HostObserver, public AttemptObserver {
 public:
  void on_running(const std::string& name) override { unit = name; }
  void on_gone(const runner::Ended& told) override { end = told; }
  void on_lost(const wire::Status& status) override { failure = status; }
  void on_socket(UniqueFd connected) override { socket = std::move(connected); }
  void on_no_socket(const wire::Status& status) override { failure = status; }
  void on_stopped() override { stopped = true; }

  std::string unit;
  std::optional<runner::Ended> end;
  std::optional<wire::Status> failure;
  UniqueFd socket;
  bool stopped = false;
};

inline std::pair<UniqueFd, UniqueFd> stream_pair() {
  int ends[2];
  EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends), 0);
  return {UniqueFd::adopt(ends[0]), UniqueFd::adopt(ends[1])};
}

class SystemdFixture : public testing::Test {
 protected:
  SystemdFixture() {
    auto pair = stream_pair();
    systemd_.emplace(std::move(pair.first));
    bus_.emplace(
        reactor_, [this](const std::string& why) { lost_ = why; }, std::move(pair.second));
    while (!bus_->is_ready()) run();
    say_state("inactive", 0, 0);
    host_.emplace(reactor_, *bus_, "/usr/libexec/hostcall-runner");
    directory_.write("a.json", R"({"services": [
      {"name": "backup-x", "run": ["/bin/receive", "{vm}"], "user": "backup", "arguments": [".*", "rest"],
       "environment": {"LANG": "C"}, "timeout": "1h", "directory": "/srv",
       "properties": {"MemoryMax": "512M", "CPUQuota": "50%", "PrivateTmp": true, "ReadWritePaths": "/a /b"}},
      {"name": "plain", "run": ["/bin/true"]},
      {"name": "agent", "socket": "unix:/run/agent.sock", "user": "alice"},
      {"name": "web", "socket": "tcp:127.0.0.1:80"}]})");
    services_ = Services::read({directory_.path()});
  }
  ~SystemdFixture() override {
    // In this order, as in the runner.
    program_.reset();
    attempt_.reset();
  }

  void run() {
    if (!systemd_) return reactor_.run_ready();
    for (int quiet = 0; quiet < 3; ++quiet) {
      reactor_.run_ready();
      if (systemd_->process()) quiet = 0;
    }
  }
  ProgramOrder order_of(const std::string& service, const std::vector<std::string>& arguments = {}) {
    runner::Start start;
    start.mutable_target()->set_service(service);
    start.mutable_target()->set_digest(services_.find(service)->digest);
    start.mutable_target()->set_vm("db-1");
    for (const auto& argument : arguments) start.add_arguments(argument);
    ProgramOrder order;
    EXPECT_TRUE(check_start(services_, start, order).ok());
    return order;
  }
  ConnectOrder connect_order(const std::string& service) { return {.service = services_.find(service), .vm = "db-1"}; }
  // What systemd says of all units from now on.
  void say_state(const std::string& active, int kind, int status, const std::string& result = "success",
                 bool has_been_active = false) {
    systemd_->set("ActiveState", active);
    systemd_->set("Job", 0);
    systemd_->set("ActiveEnterTimestamp", has_been_active ? 1 : 0);
    systemd_->set("ExecMainStartTimestamp", has_been_active || kind != 0 ? 1 : 0);
    systemd_->set("ExecMainCode", static_cast<std::uint64_t>(kind));
    systemd_->set("ExecMainStatus", static_cast<std::uint64_t>(status));
    systemd_->set("Result", result);
  }
  void start(const std::string& service, const std::vector<std::string>& arguments = {}) {
    std::array<UniqueFd, 3> descriptors;
    for (std::size_t i = 0; i < 3; ++i) {
      descriptors[i] =
          UniqueFd::adopt(::open((directory_ / std::to_string(i)).c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0600));
      struct stat status {};
      EXPECT_EQ(::fstat(descriptors[i].get(), &status), 0);
      inodes_.push_back(status.st_ino);
    }
    program_ = host_->start(order_of(service, arguments), std::move(descriptors), news_);
    run();
  }
  std::string started(const std::string& service) {
    start(service);
    say_state("active", 0, 0, "success", true);
    systemd_->say_job_removed(name(), "done");
    run();
    return name();
  }
  void ends(int kind, int status, const std::string& result) {
    say_state(result == "success" ? "inactive" : "failed", kind, status, result, true);
    systemd_->say_changed(name(), result == "success" ? "inactive" : "failed");
    run();
  }
  std::string name() const { return systemd_->names().back(); }
  std::string property(const std::string& property) const { return systemd_->unit(name()).properties.at(property); }

  test::TempDir directory_;
  Services services_;
  Reactor reactor_;
  std::string lost_;
  std::optional<FakeSystemd> systemd_;
  std::optional<Bus> bus_;
  std::optional<SystemdHost> host_;
  News news_;
  std::vector<ino_t> inodes_;
  std::unique_ptr<HostedProgram> program_;
  std::unique_ptr<ConnectionAttempt> attempt_;
};

}  // namespace hostcall::daemon
