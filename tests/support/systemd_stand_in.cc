#include "tests/support/systemd_stand_in.h"

#include <signal.h>

#include <stdexcept>
#include <utility>

#include "proto/net/socket.h"

namespace hostcall::test {
namespace {

using Clock = std::chrono::steady_clock;

// A daemon that never starts must not keep the test for ever. systemd would go on.
constexpr int kMostStarts = 10;
constexpr std::chrono::milliseconds kSlice(50);

DaemonOptions without_start(DaemonOptions options) {
  options.starts = false;
  return options;
}

}  // namespace

SystemdStandIn::SystemdStandIn(DaemonOptions files, const StandInOptions& options)
    : files_(without_start(std::move(files))), manager_(options.manager) {
  for (const auto& vm : options.vms_of_socket_units) {
    auto socket = net::listen(net::unix_address(files_.vm_path(vm)));
    if (!socket.ok()) throw std::runtime_error(socket.error().message());
    sockets_.push_back(std::move(*socket));
  }
  start();
}

// LISTEN_PID is the daemon's own pid: the shell sets it and becomes the daemon.
void SystemdStandIn::launch() {
  const auto stored = manager_.stored();
  ProcessOptions options{.environment = manager_.environment(), .input = {}, .descriptors = {}};
  options.environment.insert(command_.environment.begin(), command_.environment.end());
  std::string names;
  const auto pass = [&](const std::string& name, const UniqueFd& fd) {
    names += (names.empty() ? "" : ":") + name;
    options.descriptors.push_back(fd.get());
  };
  for (const auto& socket : sockets_) pass("hostcalld.socket", socket);
  for (const auto& one : stored) pass(one.name, one.fd);
  const bool fails = failing_starts_ > 0;
  std::string script = fails ? "exit 1" : "exec \"$@\"";
  if (fails) --failing_starts_;
  if (!options.descriptors.empty())
    script = "export LISTEN_PID=$$ LISTEN_FDS=" + std::to_string(options.descriptors.size()) + " LISTEN_FDNAMES='" +
             names + "'; " + script;
  std::vector<std::string> argv{"/bin/sh", "-c", script, "sh", command_.program, "--config", files_.config_file()};
  argv.insert(argv.end(), command_.arguments.begin(), command_.arguments.end());
  manager_.begin_start();
  process_ = std::make_unique<Process>(argv, options);
  ++starts_;
}

// False: it has exited, or does not become ready.
bool SystemdStandIn::is_ready() {
  const auto end = Clock::now() + kPatience;
  while (!manager_.wait_for_ready(kSlice))
    if (process_->wait(std::chrono::milliseconds(0)) || Clock::now() > end) return false;
  return true;
}

// As Restart=on-failure has it.
void SystemdStandIn::start_until_ready() {
  for (int i = 0; i < kMostStarts; ++i) {
    launch();
    if (is_ready()) return;
  }
  throw std::runtime_error("hostcalld did not start: " + process_->errors());
}

void SystemdStandIn::start() {
  manager_.set_job("start");
  start_until_ready();
  manager_.set_job("");
}

std::chrono::nanoseconds SystemdStandIn::restart() {
  const auto begin = Clock::now();
  manager_.set_job("restart");
  process_->signal(SIGTERM);
  if (!process_->wait()) throw std::runtime_error("hostcalld did not end: " + process_->errors());
  start();
  return Clock::now() - begin;
}

int SystemdStandIn::stop() {
  manager_.set_job("stop");
  process_->signal(SIGTERM);
  const auto code = process_->wait();
  manager_.drop_store();
  manager_.set_job("");
  return code.value_or(255);
}

std::chrono::nanoseconds SystemdStandIn::kill_9() {
  const auto begin = Clock::now();
  process_->signal(SIGKILL);
  (void)process_->wait();
  start();
  return Clock::now() - begin;
}

}  // namespace hostcall::test
