// hostcallctl doctor on trees of files that stand for a host.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>

#include "client/hostcallctl/checks.h"
#include "client/hostcallctl/program_output.h"
#include "proto/net/socket.h"
#include "tests/support/patience.h"
#include "tests/support/temp_dir.h"

namespace hostcall::cli::host {
namespace {

using State = Finding::State;

class HostChecks : public testing::Test {
 protected:
  static Finding find(const Findings& findings, const std::string& check) {
    const auto found = std::ranges::find(findings, check, &Finding::check);
    if (found == findings.end()) return fail("test", "there is no finding " + check, "");
    return *found;
  }
  Machine machine() const { return Machine(tree_.path()); }
  void mode(const std::string& file, mode_t mode) { ASSERT_EQ(::chmod((tree_ / file).c_str(), mode), 0); }
  // A program that prints these lines, in the place of systemctl.
  std::string script(const std::string& body) {
    const auto path = tree_.write("systemctl", "#!/bin/sh\n" + body + "\n");
    std::filesystem::permissions(path, std::filesystem::perms::owner_all);
    return path;
  }
  void with_systemd() { std::filesystem::create_directories(tree_ / "run/systemd/system"); }
  Findings units(const std::string& body) {
    with_systemd();
    return check_units(machine(), script(body), Clock::now() + test::kPatience);
  }
  UniqueFd listen_at(const std::string& file) {
    std::filesystem::create_directories(std::filesystem::path(tree_ / file).parent_path());
    auto listener = net::listen(net::Address::parse("unix:" + (tree_ / file)).value());
    EXPECT_TRUE(listener.ok());
    return std::move(listener).value();
  }
  Findings sockets(const std::optional<std::vector<v1::VmState>>& vms) const {
    return check_sockets(machine(), vms, "/run/hostcall");
  }
  static v1::ServiceState service(const std::string& name, v1::ServiceKind kind, const std::string& target) {
    v1::ServiceState service;
    service.set_name(name);
    service.set_kind(kind);
    service.set_target(target);
    return service;
  }
  static v1::VmState vm(const std::string& name, const std::string& path) {
    v1::VmState vm;
    vm.mutable_record()->set_name(name);
    vm.mutable_record()->set_unix_path(path);
    return vm;
  }

  test::TempDir tree_;
};

TEST_F(HostChecks, AHostForQemuIsFine) {
  tree_.write("sys/module/vhost_vsock/refcnt", "0");
  tree_.write("dev/vhost-vsock", "");
  mode("dev/vhost-vsock", 0660);
  tree_.write("proc/sys/net/vsock/ns_mode", "global\n");
  tree_.write("proc/sys/net/vsock/child_ns_mode", "global\n");
  for (const auto& finding : check_vsock(machine(), true)) EXPECT_EQ(finding.state, State::kOk) << finding.text;
}

TEST_F(HostChecks, AMissingModuleFailsOnlyIfItIsNeeded) {
  EXPECT_EQ(find(check_vsock(machine(), false), "vsock.module").state, State::kWarn);
  const auto needed = find(check_vsock(machine(), true), "vsock.module");
  EXPECT_EQ(needed.state, State::kFail);
  EXPECT_NE(needed.advice.find("modprobe vhost_vsock"), std::string::npos);
  EXPECT_EQ(find(check_vsock(machine(), true), "vsock.device").state, State::kFail);
}

TEST_F(HostChecks, ABuiltInModuleIsSeenByItsDevice) {
  tree_.write("dev/vhost-vsock", "");
  EXPECT_EQ(find(check_vsock(machine(), true), "vsock.module").state, State::kOk);
}

TEST_F(HostChecks, ADeviceForEverybodyIsAWarning) {
  tree_.write("dev/vhost-vsock", "");
  mode("dev/vhost-vsock", 0666);
  const auto finding = find(check_vsock(machine(), true), "vsock.device");
  EXPECT_EQ(finding.state, State::kWarn);
  EXPECT_NE(finding.text.find("0666"), std::string::npos);
}

TEST_F(HostChecks, LocalNamespacesAreReported) {
  EXPECT_EQ(find(check_vsock(machine(), false), "vsock.namespace").state, State::kOk);
  tree_.write("proc/sys/net/vsock/ns_mode", "global\n");
  tree_.write("proc/sys/net/vsock/child_ns_mode", "local\n");
  EXPECT_EQ(find(check_vsock(machine(), false), "vsock.namespace").state, State::kWarn);
  tree_.write("proc/sys/net/vsock/ns_mode", "local\n");
  EXPECT_NE(find(check_vsock(machine(), false), "vsock.namespace").text.find("ns_mode is local"), std::string::npos);
}

TEST_F(HostChecks, AStoreThatRefusesWritesFails) {
  v1::StoreCondition store;
  EXPECT_EQ(check_store(machine(), store).state, State::kOk);
  const auto finding = [&](v1::StoreCondition::State state, const std::string& text) {
    store.set_state(state);
    store.set_text(text);
    return check_store(machine(), store);
  };
  const auto full = finding(v1::StoreCondition::STATE_DISK_FULL, "the store refuses writes: disk is full");
  EXPECT_EQ(full.state, State::kFail);
  EXPECT_EQ(full.text, "the store refuses writes: disk is full");
  EXPECT_EQ(full.advice, "make room on the disk of hostcalld's state_directory");
  EXPECT_EQ(finding(v1::StoreCondition::STATE_NO_MEMORY, "x").advice, "give the host memory");
  EXPECT_EQ(finding(v1::StoreCondition::STATE_READ_ONLY, "x").advice,
            "look for errors of the disk in the kernel's log, then: end hostcalld and start it again");
  with_systemd();
  EXPECT_EQ(finding(v1::StoreCondition::STATE_READ_ONLY, "x").advice,
            "look for errors of the disk in the kernel's log, then: systemctl restart hostcalld.service");
}

TEST_F(HostChecks, ADaemonThatDoesNotAnswerIsJudgedByTheReason) {
  const auto advice = [&](ExitCode code) { return no_answer(machine(), {code, "x"}).advice; };
  EXPECT_EQ(advice(ExitCode::kDenied), "run it as root");
  EXPECT_EQ(advice(ExitCode::kUnreachable), "start hostcalld, which says what it lacks");
  EXPECT_EQ(advice(ExitCode::kDeadline), "if it hangs: end hostcalld and start it again");
  with_systemd();
  EXPECT_TRUE(advice(ExitCode::kUnreachable).starts_with("systemctl start "));
  EXPECT_EQ(advice(ExitCode::kDeadline), "if it hangs: systemctl restart hostcalld.service");
  EXPECT_NE(advice(ExitCode::kNoSuchMethod).find("admin_socket"), std::string::npos);
}

TEST_F(HostChecks, WithoutSystemdThereIsNothingToAsk) {
  const auto findings = check_units(machine(), "/nonexistent", kNever);
  ASSERT_EQ(findings.size(), 1U);
  EXPECT_EQ(findings[0].state, State::kOk);
}

TEST_F(HostChecks, ActiveUnitsAreFine) {
  const auto findings = units("printf 'LoadState=loaded\\nActiveState=active\\nSubState=listening\\n'");
  EXPECT_EQ(find(findings, "unit.hostcalld.socket").text, "active (listening)");
  EXPECT_EQ(find(findings, "unit.hostcalld.service").state, State::kOk);
}

TEST_F(HostChecks, AnIdleServiceIsFineAndAnIdleSocketIsNot) {
  const auto findings = units("printf 'LoadState=loaded\\nActiveState=inactive\\nSubState=dead\\n'");
  EXPECT_EQ(find(findings, "unit.hostcalld.socket").state, State::kWarn);
  EXPECT_EQ(find(findings, "unit.hostcalld.service").state, State::kOk);
}

TEST_F(HostChecks, FailedMaskedAndMissingUnitsAreReported) {
  const auto state = [&](const std::string& body) { return find(units(body), "unit.hostcalld.service").state; };
  EXPECT_EQ(state("printf 'LoadState=loaded\\nActiveState=failed\\nSubState=failed\\n'"), State::kFail);
  EXPECT_EQ(state("printf 'LoadState=masked\\nActiveState=inactive\\nSubState=dead\\n'"), State::kFail);
  EXPECT_EQ(state("printf 'LoadState=not-found\\nActiveState=inactive\\nSubState=dead\\n'"), State::kWarn);
}

TEST_F(HostChecks, ASystemctlThatFailsIsAWarning) {
  const auto finding = find(units("exit 1"), "unit.hostcalld.socket");
  EXPECT_EQ(finding.state, State::kWarn);
  EXPECT_NE(finding.text.find("failed"), std::string::npos);
}

TEST_F(HostChecks, ACommandThatHangsIsKilled) {
  // Reads what never comes: its standard output stays open.
  const auto result = program_output({script("exec tail -f /dev/null")}, Clock::now() + milliseconds(50));
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error().code, ETIMEDOUT);
}

TEST_F(HostChecks, ACommandThatIsNotThereIsAnError) {
  const auto result = program_output({"/nonexistent/program"}, kNever);
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error().code, ENOENT);
}

TEST_F(HostChecks, AListenerThatIsThereIsFine) {
  const auto listener = listen_at("run/vm/web1.sock");
  const std::vector vms{vm("web1", "/run/vm/web1.sock")};
  EXPECT_EQ(find(sockets(vms), "listener.web1").state, State::kOk);
}

TEST_F(HostChecks, AMissingListenerFails) {
  const auto finding = find(sockets(std::vector{vm("web1", "/run/vm/web1.sock")}), "listener.web1");
  EXPECT_EQ(finding.state, State::kFail);
  EXPECT_NE(finding.text.find("/run/vm/web1.sock"), std::string::npos);
}

// hostcalld's reason, once.
TEST_F(HostChecks, AListenerThatCantBeOpenedFailsWithTheReason) {
  auto record = vm("web1", "/no/web1.sock");
  record.set_unreachable("can't listen: bind: No such file; make the directory");
  const auto findings = sockets(std::vector{record, vm("web2", "@web2")});
  const auto finding = find(findings, "listener.web1");
  EXPECT_EQ(finding.state, State::kFail);
  EXPECT_EQ(finding.text, "hostcalld does not listen for VM web1: can't listen: bind: No such file");
  EXPECT_EQ(finding.advice, "make the directory");
  EXPECT_EQ(find(findings, "listeners").check, "test") << "it says no more";
}

TEST_F(HostChecks, AFileInTheListenersPlaceFails) {
  tree_.write("run/vm/web1.sock", "");
  EXPECT_EQ(find(sockets(std::vector{vm("web1", "/run/vm/web1.sock")}), "listener.web1").state, State::kFail);
}

TEST_F(HostChecks, TheVmmMustBeAbleToWriteToItsListener) {
  const auto listener = listen_at("run/vm/web1.sock");
  auto record = vm("web1", "/run/vm/web1.sock");
  record.mutable_record()->set_has_vmm_uid(true);
  record.mutable_record()->set_vmm_uid(12345);
  mode("run/vm/web1.sock", 0600);
  EXPECT_EQ(find(sockets(std::vector{record}), "listener.web1").state, State::kFail);
  mode("run/vm/web1.sock", 0660);
  EXPECT_EQ(find(sockets(std::vector{record}), "listener.web1").state, State::kOk);
}

TEST_F(HostChecks, AbstractListenersHaveNoFile) {
  for (const auto& finding : sockets(std::vector{vm("web1", "@web1")}))
    EXPECT_TRUE(finding.check == "sockets.stale" || finding.check == "listeners") << finding.check;
}

TEST_F(HostChecks, WhatTheDaemonDoesNotListenForFails) {
  std::vector vms{vm("web1", "@web1"), vm("web2", ""), vm("web3", "")};
  EXPECT_EQ(find(sockets(vms), "listeners").state, State::kOk);
  for (std::size_t i = 1; i < vms.size(); ++i) {
    vms[i].mutable_record()->set_cid(40);
    vms[i].set_unreachable("it has a CID; but no listener; start one");
  }
  const auto finding = find(sockets(vms), "listeners");
  EXPECT_EQ(finding.state, State::kFail);
  EXPECT_EQ(finding.text, "hostcalld does not listen for VM web2 (and 1 more): it has a CID; but no listener");
  EXPECT_EQ(finding.advice, "start one");
}

TEST_F(HostChecks, StaleSocketFilesAreFound) {
  const auto alive = listen_at("run/hostcall/admin.sock");
  listen_at("run/hostcall/web1.sock").reset();
  listen_at("run/hostcall/vm/fc1/vsock.sock_18499").reset();
  const auto finding = find(sockets(std::nullopt), "sockets.stale");
  EXPECT_EQ(finding.state, State::kWarn);
  EXPECT_EQ(finding.text, "nobody listens on /run/hostcall/vm/fc1/vsock.sock_18499, /run/hostcall/web1.sock");
}

TEST_F(HostChecks, LinksAreNotFollowedInSearchOfStaleSockets) {
  listen_at("run/hostcall/fc1/web1.sock").reset();
  for (const auto* name : {"a", "b", "c"})
    std::filesystem::create_symlink(".", machine().at("/run/hostcall/fc1/") + name);
  const auto finding = find(sockets(std::nullopt), "sockets.stale");
  EXPECT_EQ(finding.text, "nobody listens on /run/hostcall/fc1/web1.sock") << "3 to the power of 40 ways lead there";
}

TEST_F(HostChecks, SocketsOfAnAnsweringDaemonAreLeftAlone) {
  // Nobody listens, so a check that connected would call it stale.
  listen_at("run/hostcall/web1.sock").reset();
  const std::vector vms{vm("web1", "/run/hostcall/web1.sock")};
  const auto finding = find(sockets(vms), "sockets.stale");
  EXPECT_EQ(finding.state, State::kOk);
  EXPECT_EQ(finding.text, "every socket file below /run/hostcall has a listener");
}

TEST_F(HostChecks, StaleSocketFilesAreSoughtWhereTheDaemonMakesItsSockets) {
  listen_at("srv/hostcall/web1.sock").reset();
  const auto finding = find(check_sockets(machine(), std::nullopt, "/srv/hostcall"), "sockets.stale");
  EXPECT_EQ(finding.text, "nobody listens on /srv/hostcall/web1.sock");
}

TEST_F(HostChecks, ServicesAreCounted) {
  EXPECT_EQ(find(check_services(machine(), {}), "services").text, "services.d has no service");
  const auto findings = check_services(machine(), {service("job", v1::SERVICE_KIND_PROGRAM, "unix:/odd/program"),
                                                   service("web", v1::SERVICE_KIND_SOCKET, "tcp:127.0.0.1:80"),
                                                   service("bus", v1::SERVICE_KIND_SOCKET, "unix:@bus")});
  ASSERT_EQ(findings.size(), 1u);
  EXPECT_EQ(findings[0].state, State::kOk);
  EXPECT_EQ(findings[0].text, "3 services in force");
}

TEST_F(HostChecks, DisabledServicesFailWithTheReason) {
  v1::ServiceState broken, unknown;
  broken.set_name("broken");
  broken.set_disabled("/etc/a.json:6: the list is empty");
  unknown.set_disabled("/etc/b.json:1: not valid JSON");
  const auto findings =
      check_services(machine(), {service("job", v1::SERVICE_KIND_PROGRAM, "/bin/x"), broken, unknown});
  ASSERT_EQ(findings.size(), 3u);
  EXPECT_EQ(findings[0].text, "1 service in force, 2 disabled");
  EXPECT_EQ(findings[1].check, "service.broken");
  EXPECT_EQ(findings[1].state, State::kFail);
  EXPECT_EQ(findings[1].text, "it is disabled: /etc/a.json:6: the list is empty");
  EXPECT_EQ(findings[2].check, "services");
  EXPECT_EQ(findings[2].text, "services of services.d are disabled: /etc/b.json:1: not valid JSON");
}

TEST_F(HostChecks, SocketsOfServicesThatAreMissingAreFound) {
  const auto there = listen_at("run/there.sock");
  tree_.write("run/file", "");
  const auto findings = check_services(machine(), {service("a", v1::SERVICE_KIND_SOCKET, "unix:/run/there.sock"),
                                                   service("b", v1::SERVICE_KIND_SOCKET, "unix:/run/gone.sock"),
                                                   service("acme.v1.X", v1::SERVICE_KIND_SERVER, "unix:/run/file")});
  ASSERT_EQ(findings.size(), 3u);
  EXPECT_EQ(findings[1].check, "service.b");
  EXPECT_EQ(findings[1].state, State::kWarn);
  EXPECT_NE(findings[1].text.find("/run/gone.sock"), std::string::npos);
  EXPECT_EQ(findings[2].check, "service.acme.v1.X");
  EXPECT_EQ(findings[2].text, "/run/file is not a socket, so its calls fail");
}

}  // namespace
}  // namespace hostcall::cli::host
