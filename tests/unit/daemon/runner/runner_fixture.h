// RunnerFixture: hostcall-runner's session on a reactor, with real programs, a services.d, and the test as hostcalld.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <pwd.h>
#include <unistd.h>

#include <array>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "daemon/runner/direct_host.h"
#include "daemon/runner/running.h"
#include "daemon/runner/service_cache.h"
#include "daemon/runner/session.h"
#include "tests/support/contents.h"
#include "tests/support/patience.h"
#include "tests/support/temp_dir.h"

namespace hostcall::daemon {

// Services run as root only if that is written, and tests may run as root.
inline std::string this_user() {
  const auto* const entry = ::getpwuid(::geteuid());
  return entry == nullptr ? std::string("nobody") : entry->pw_name;
}

// A member for entries of services.d.
inline std::string as_this_user() { return R"(, "user": ")" + this_user() + "\""; }

class RunnerFixture : public testing::Test {
 protected:
  RunnerFixture() {
    auto pair = packet_socket_pair();
    hostcalld_ = std::move(pair->first);
    session_.emplace(reactor_, std::move(pair->second), services_, host_, running_, [this](const std::string& why) {
      is_over_ = true;
      why_ = why;
    });
  }
  ~RunnerFixture() override {
    hostcalld_.reset();
    EXPECT_TRUE(wait_for([this] { return is_over_; })) << "programs are left";
  }

  // A shell script as a service. `more`: further members.
  void add_script(const std::string& name, const std::string& script, const std::string& more = {}) {
    directory_.write("bin/" + name, "#!/bin/sh\n" + script + "\n");
    ASSERT_EQ(::chmod((directory_ / ("bin/" + name)).c_str(), 0755), 0);
    add_service(
        R"("name": ")" + name + R"(", "run": [")" + directory_ / ("bin/" + name) + "\"]" + as_this_user() + more, name);
  }
  void add_service(const std::string& members, const std::string& file) {
    directory_.write("services.d/" + file + ".json", "{" + members + "}");
  }

  runner::Target target(const std::string& service, const std::string& vm = "web1") {
    runner::Target target;
    target.set_service(service);
    if (const auto found = services_.current().find(service)) target.set_digest(found->digest);
    target.set_vm(vm);
    return target;
  }
  runner::Start start_of(const std::string& service, const std::vector<std::string>& arguments = {}) {
    runner::Start start;
    *start.mutable_target() = target(service);
    for (const auto& argument : arguments) start.add_arguments(argument);
    return start;
  }

  // Sends a request with descriptors. Returns its id.
  std::uint64_t ask(runner::Request request, std::vector<UniqueFd> descriptors = {}) {
    if (request.id() == 0) request.set_id(++last_id_);
    EXPECT_TRUE(send_packet(hostcalld_.get(), {request.SerializeAsString(), std::move(descriptors)}).value());
    return request.id();
  }
  // Starts a program with a file for its output, and nothing to read.
  std::uint64_t start(const runner::Start& start) {
    runner::Request request;
    *request.mutable_start() = start;
    std::vector<UniqueFd> descriptors;
    descriptors.push_back(UniqueFd::adopt(::open("/dev/null", O_RDONLY | O_CLOEXEC)));
    for (int i = 0; i < 2; ++i)
      descriptors.push_back(
          UniqueFd::adopt(::open((directory_ / "output").c_str(), O_CREAT | O_WRONLY | O_APPEND | O_CLOEXEC, 0600)));
    return ask(request, std::move(descriptors));
  }
  std::uint64_t start(const std::string& service, const std::vector<std::string>& arguments = {}) {
    return start(start_of(service, arguments));
  }
  void signal(std::uint64_t id, int number) {
    runner::Request request;
    request.set_id(id);
    request.mutable_signal()->set_number(number);
    ask(request);
  }
  void cancel(std::uint64_t id) {
    runner::Request request;
    request.set_id(id);
    request.mutable_cancel();
    ask(request);
  }
  std::string output() const { return test::contents_of(directory_ / "output"); }

  // Runs the reactor meanwhile.
  bool wait_for(const std::function<bool()>& holds) {
    return test::eventually([&] {
      reactor_.run_ready();
      return holds();
    });
  }
  // The next reply; its descriptor is in received_.
  runner::Reply reply() {
    runner::Reply reply;
    std::vector<char> buffer(2 * kMaxPacketBytes);
    EXPECT_TRUE(wait_for([&] {
      auto packet = receive_packet(hostcalld_.get(), buffer);
      if (!packet.ok() || !packet.value()) return !packet.ok();
      EXPECT_FALSE((*packet)->is_end);
      EXPECT_TRUE(reply.ParseFromString(std::string((*packet)->bytes)));
      received_ = std::move((*packet)->descriptors);
      return true;
    }));
    return reply;
  }
  // Of the reply to a start that is refused.
  runner::Failed refusal(const runner::Start& start) {
    const auto id = this->start(start);
    const auto answer = reply();
    EXPECT_EQ(answer.id(), id);
    EXPECT_TRUE(answer.has_failed()) << answer.what_case();
    return answer.failed();
  }
  bool is_closed() {
    std::vector<char> buffer(2 * kMaxPacketBytes);
    return wait_for([&] {
      const auto packet = receive_packet(hostcalld_.get(), buffer);
      return !packet.ok() || (packet.value() && (*packet)->is_end);
    });
  }

  test::TempDir directory_;
  Reactor reactor_;
  ServiceCache services_{{directory_ / "services.d"}};
  DirectHost host_{reactor_};
  Running running_;
  UniqueFd hostcalld_;
  std::optional<RunnerSession> session_;
  std::uint64_t last_id_ = 0;
  std::vector<UniqueFd> received_;
  bool is_over_ = false;
  std::string why_;  // it is over
};

}  // namespace hostcall::daemon
