// What hostcalld may send, and what ends the connection.
#include "daemon/runner/session.h"

#include <gmock/gmock.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "proto/net/socket.h"
#include "tests/unit/daemon/runner/runner_fixture.h"

namespace hostcall::daemon {
namespace {

using testing::HasSubstr;

class RunnerSessionTest : public RunnerFixture {
 protected:
  runner::Reply connect_to(const std::string& service) {
    runner::Request request;
    *request.mutable_connect()->mutable_target() = target(service);
    const auto id = ask(request);
    auto answer = reply();
    EXPECT_EQ(answer.id(), id);
    return answer;
  }
};

TEST_F(RunnerSessionTest, LimitsHoldWhateverHostcalldThinks) {
  add_script("sleeps", "trap 'sleep 0.1; exit' TERM; while :; do sleep 0.01; done",
             R"(, "concurrent": 2, "concurrent_per_vm": 1)");
  const auto first = start("sleeps");
  EXPECT_TRUE(reply().has_started());
  const auto failed = refusal(start_of("sleeps"));
  EXPECT_EQ(failed.code(), static_cast<int>(wire::Code::kResourceExhausted));
  EXPECT_THAT(failed.text(), HasSubstr("concurrent_per_vm"));
  EXPECT_EQ(failed.retry_after_ms(), 1000U);
  cancel(first);
  EXPECT_EQ(refusal(start_of("sleeps")).code(), static_cast<int>(wire::Code::kResourceExhausted))
      << "it is not gone yet";
  EXPECT_TRUE(wait_for([this] { return running_.count() == 0; }));
  start("sleeps");
  EXPECT_TRUE(reply().has_started());
}

TEST_F(RunnerSessionTest, AChangedEntryIsRefusedUntilHostcalldKnowsIt) {
  add_script("changes", "exit 1");
  const auto old = start_of("changes");
  add_script("changes", "exit 2", R"(, "concurrent": 3)");
  EXPECT_EQ(refusal(old).text(), "service \"changes\" has changed; reload hostcalld");
  start(start_of("changes"));
  EXPECT_TRUE(reply().has_started());
  EXPECT_EQ(reply().ended().exit_code(), 2);
}

TEST_F(RunnerSessionTest, LateSignalsAndCancelsAreNothing) {
  signal(77, SIGTERM);
  cancel(77);
  add_script("fine", "exit 0");
  start("fine");
  EXPECT_TRUE(reply().has_started());
}

TEST_F(RunnerSessionTest, EndsAtWhatIsNoRequest) {
  EXPECT_TRUE(send_packet(hostcalld_.get(), {"\xff\xff", {}}).value());
  EXPECT_TRUE(is_closed());
}

TEST_F(RunnerSessionTest, EndsAtARequestForNothing) {
  ask({});
  EXPECT_TRUE(is_closed());
}

TEST_F(RunnerSessionTest, EndsAtAnIdThatIsNotNew) {
  runner::Request request;
  request.set_id(5);
  *request.mutable_connect()->mutable_target() = target("x");
  ask(request);
  EXPECT_TRUE(reply().has_failed());
  ask(request);
  EXPECT_TRUE(is_closed());
}

TEST_F(RunnerSessionTest, EndsAtAWrongNumberOfDescriptors) {
  runner::Request request;
  *request.mutable_start() = start_of("x");
  ask(request);
  EXPECT_TRUE(is_closed());
}

TEST_F(RunnerSessionTest, EndsIfNobodyReads) {
  runner::Request request;
  *request.mutable_connect()->mutable_target() = target(std::string(1000, 'x'));
  for (std::uint64_t id = 1; id < 100'000; ++id) {
    request.set_id(id);
    const auto sent = send_packet(hostcalld_.get(), {request.SerializeAsString(), {}});
    if (!sent.ok()) break;
    if (!sent.value()) reactor_.run_ready();
  }
  EXPECT_FALSE(send_packet(hostcalld_.get(), {"x", {}}).ok());
}

// The reply that is one too many comes from an attempt, which the end of the connection removes.
TEST_F(RunnerSessionTest, EndsIfNobodyReadsHowAttemptsEnd) {
  add_service(R"("name": "agent", "socket": "unix:/nowhere/socket")" + as_this_user(), "agent");
  runner::Request request;
  *request.mutable_connect()->mutable_target() = target("agent");
  for (std::uint64_t id = 1; id < 20'000 && !is_over_; ++id) {
    request.set_id(id);
    (void)send_packet(hostcalld_.get(), {request.SerializeAsString(), {}});
    reactor_.run_ready();
  }
  EXPECT_TRUE(is_over_);
  EXPECT_EQ(why_, "hostcalld does not read");
}

TEST_F(RunnerSessionTest, ConnectsToAUnixSocketOfItsOwnUser) {
  const auto path = directory_ / "service.sock";
  const auto listener = net::listen(net::unix_address(path));
  ASSERT_TRUE(listener.ok());
  add_service(R"("name": "agent", "socket": "unix:)" + path + "\"" + as_this_user(), "agent");
  EXPECT_TRUE(connect_to("agent").has_connected());
  ASSERT_EQ(received_.size(), 1U);
  const auto accepted = net::accept(listener->get());
  ASSERT_TRUE(accepted.ok());
  ASSERT_EQ(::send(accepted->get(), "x", 1, 0), 1);
  char byte = 0;
  EXPECT_EQ(::recv(received_[0].get(), &byte, 1, MSG_DONTWAIT), 1);
  EXPECT_NE(::fcntl(received_[0].get(), F_GETFL) & O_NONBLOCK, 0);
}

TEST_F(RunnerSessionTest, ConnectsByTcp) {
  const auto listener = UniqueFd::adopt(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  ASSERT_EQ(::bind(listener.get(), reinterpret_cast<sockaddr*>(&address), length), 0);
  ASSERT_EQ(::getsockname(listener.get(), reinterpret_cast<sockaddr*>(&address), &length), 0);
  add_service(R"("name": "web", "socket": "tcp:127.0.0.1:)" + std::to_string(ntohs(address.sin_port)) + "\"", "web");
  EXPECT_EQ(connect_to("web").failed().text(), "service \"web\" can't be reached: Connection refused");
  ASSERT_EQ(::listen(listener.get(), 1), 0);
  EXPECT_TRUE(connect_to("web").has_connected());
  EXPECT_EQ(received_.size(), 1U);
}

TEST_F(RunnerSessionTest, ASocketThatIsNotThereIsTold) {
  add_service(R"("name": "agent", "socket": "unix:/nowhere/socket")" + as_this_user(), "agent");
  const auto failed = connect_to("agent").failed();
  EXPECT_EQ(failed.code(), static_cast<int>(wire::Code::kUnavailable));
  EXPECT_EQ(failed.text(), "service \"agent\" can't be reached: No such file or directory");
}

// Nobody accepts and the backlog is full: it waits, and a cancel forgets it.
TEST_F(RunnerSessionTest, AnAttemptCanBeCancelled) {
  const auto path = directory_ / "full.sock";
  const auto listener = net::listen(net::unix_address(path));
  ASSERT_TRUE(listener.ok());
  ASSERT_EQ(::listen(listener->get(), 0), 0);
  const auto first = net::start_connect(net::unix_address(path), seconds(1));
  add_service(R"("name": "full", "socket": "unix:)" + path + "\"" + as_this_user(), "full");
  runner::Request request;
  *request.mutable_connect()->mutable_target() = target("full");
  cancel(ask(request));
  add_script("fine", "exit 0");
  start("fine");
  EXPECT_TRUE(reply().has_started());
  EXPECT_TRUE(reply().has_ended());
}

TEST_F(RunnerSessionTest, AnAttemptWaitsForRoom) {
  const auto path = directory_ / "full.sock";
  const auto listener = net::listen(net::unix_address(path));
  ASSERT_TRUE(listener.ok());
  ASSERT_EQ(::listen(listener->get(), 0), 0);
  const auto first = net::start_connect(net::unix_address(path), seconds(1));
  add_service(R"("name": "full", "socket": "unix:)" + path + "\"" + as_this_user(), "full");
  runner::Request request;
  *request.mutable_connect()->mutable_target() = target("full");
  ask(request);
  reactor_.run_ready();
  ASSERT_TRUE(net::accept(listener->get()).ok());
  EXPECT_TRUE(reply().has_connected());
}

}  // namespace
}  // namespace hostcall::daemon
