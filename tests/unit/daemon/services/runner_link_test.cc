// hostcalld's side of the connection to the runner, whom the test plays.
#include "daemon/services/runner_link.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "daemon/services/host_runner.h"
#include "tests/support/manual_time.h"
#include "tests/support/temp_dir.h"
#include "tests/unit/daemon/services/runner_observers.h"

namespace hostcall::daemon {
namespace {

using testing::HasSubstr;
using wire::Code;

UniqueFd listen_at(const std::string& path) {
  auto listener = UniqueFd::adopt(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  EXPECT_EQ(::bind(listener.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  EXPECT_EQ(::listen(listener.get(), 4), 0);
  return listener;
}

class RunnerLinkTest : public testing::Test {
 protected:
  RunnerLinkTest() : listener_(listen_at(path_)) {
    service_.name = "backup";
    service_.digest = "d1";
    service_.kind = ProgramService{};
  }

  std::unique_ptr<RunningProgram> start(ProgramObserver& observer, const std::vector<std::string>& arguments = {}) {
    std::array<UniqueFd, 3> descriptors;
    for (auto& fd : descriptors) fd = UniqueFd::adopt(::open("/dev/null", O_RDWR | O_CLOEXEC));
    return link_.start(service_, {.vm = "web1", .uuid = "u1"}, arguments, std::move(descriptors), observer);
  }
  void accept() {
    runner_ = UniqueFd::adopt(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    EXPECT_TRUE(runner_);
  }
  // The next request that the runner reads; its descriptors are in received_.
  runner::Request request() {
    reactor_.run_ready();
    runner::Request request;
    auto packet = receive_packet(runner_.get(), buffer_);
    EXPECT_TRUE(packet.ok() && packet.value() && !(*packet)->is_end);
    if (!packet.ok() || !packet.value()) return request;
    EXPECT_TRUE(request.ParseFromString(std::string((*packet)->bytes)));
    received_ = std::move((*packet)->descriptors);
    return request;
  }
  bool has_no_request() {
    reactor_.run_ready();
    const auto packet = receive_packet(runner_.get(), buffer_);
    return packet.ok() && !packet.value();
  }
  bool is_closed() {
    reactor_.run_ready();
    const auto packet = receive_packet(runner_.get(), buffer_);
    return !packet.ok() || (packet.value() && (*packet)->is_end);
  }
  void answer(runner::Reply reply, std::uint64_t id, UniqueFd descriptor = {}) {
    reply.set_id(id);
    Packet packet{reply.SerializeAsString(), {}};
    if (descriptor) packet.descriptors.push_back(std::move(descriptor));
    EXPECT_TRUE(send_packet(runner_.get(), packet).value());
    reactor_.run_ready();
  }
  void answer_started(std::uint64_t id) {
    runner::Reply reply;
    reply.mutable_started()->set_unit("unit-7");
    answer(std::move(reply), id);
  }

  test::TempDir directory_;
  const std::string path_ = directory_ / "runner.sock";
  test::ManualTime time_;
  Reactor reactor_{time_};
  UniqueFd listener_, runner_;
  RunnerLink link_{reactor_, {.socket_path = path_, .program = {}, .services = {}}};
  ServiceRecord service_;
  KeptProgramNews news_;
  KeptConnectNews connect_news_;
  std::vector<UniqueFd> received_;
  std::vector<char> buffer_ = std::vector<char>(2 * kMaxPacketBytes);
};

TEST_F(RunnerLinkTest, AsksForAProgramAndTellsItsNews) {
  const auto program = start(news_, {"home", "\xff"});
  accept();
  const auto asked = request();
  EXPECT_EQ(asked.start().target().service(), "backup");
  EXPECT_EQ(asked.start().target().digest(), "d1");
  EXPECT_EQ(asked.start().target().vm(), "web1");
  EXPECT_EQ(asked.start().target().uuid(), "u1");
  EXPECT_THAT(asked.start().arguments(), testing::ElementsAre("home", "\xff"));
  EXPECT_EQ(received_.size(), 3U);
  answer_started(asked.id());
  EXPECT_EQ(news_.unit, "unit-7");
  EXPECT_FALSE(news_.is_over());
  runner::Reply reply;
  reply.mutable_ended()->set_exit_code(3);
  reply.mutable_ended()->set_reason("oom-kill");
  answer(std::move(reply), asked.id());
  ASSERT_TRUE(news_.end);
  EXPECT_EQ(news_.end->exit_code, 3);
  EXPECT_EQ(news_.end->reason, "oom-kill");
}

TEST_F(RunnerLinkTest, NothingFollowsTheEnd) {
  auto program = start(news_);
  accept();
  const auto id = request().id();
  runner::Reply reply;
  reply.mutable_ended()->set_signal(9);
  answer(std::move(reply), id);
  EXPECT_EQ(news_.end->signal, 9);
  answer_started(id);
  EXPECT_EQ(news_.unit, "");
  program->send_signal(SIGTERM);
  program.reset();
  EXPECT_TRUE(has_no_request()) << "neither a signal nor a cancel";
}

TEST_F(RunnerLinkTest, TellsARefusal) {
  const auto program = start(news_);
  accept();
  runner::Reply reply;
  reply.mutable_failed()->set_code(static_cast<int>(Code::kResourceExhausted));
  reply.mutable_failed()->set_text("too many");
  reply.mutable_failed()->set_retry_after_ms(1500);
  answer(std::move(reply), request().id());
  EXPECT_EQ(news_.failure->code, Code::kResourceExhausted);
  EXPECT_EQ(news_.failure->message, "too many");
  EXPECT_EQ(news_.failure->retry_after, milliseconds(1500));
}

TEST_F(RunnerLinkTest, AnUnknownCodeIsUnknown) {
  for (const int code : {0, 17, -1, 4711}) {
    const auto program = start(news_);
    if (!runner_) accept();
    runner::Reply reply;
    reply.mutable_failed()->set_code(code);
    answer(std::move(reply), request().id());
    EXPECT_EQ(news_.failure->code, Code::kUnknown);
  }
}

TEST_F(RunnerLinkTest, SignalsWaitUntilItRuns) {
  const auto program = start(news_);
  accept();
  program->send_signal(SIGINT);
  const auto id = request().id();
  EXPECT_TRUE(has_no_request());
  answer_started(id);
  program->send_signal(SIGINT);
  const auto signal = request();
  EXPECT_EQ(signal.id(), id);
  EXPECT_EQ(signal.signal().number(), SIGINT);
}

TEST_F(RunnerLinkTest, CancelsWhatIsGivenUp) {
  auto program = start(news_);
  accept();
  const auto id = request().id();
  program.reset();
  const auto cancel = request();
  EXPECT_TRUE(cancel.has_cancel());
  EXPECT_EQ(cancel.id(), id);
  answer_started(id);
  EXPECT_EQ(news_.unit, "") << "nobody is told";
}

// Its start was sent, signals after it were not.
TEST_F(RunnerLinkTest, CancelsWhatSignalsStillWaitFor) {
  auto program = start(news_);
  accept();
  const auto id = request().id();
  answer_started(id);
  // Until the socket is full, and on.
  for (int i = 0; i < 20'000; ++i) program->send_signal(i % 2 == 0 ? SIGUSR1 : SIGUSR2);
  program.reset();
  runner::Request last;
  int signals = 0;
  for (; !last.has_cancel() && !HasFailure(); ++signals) last = request();
  EXPECT_EQ(last.id(), id);
  EXPECT_LT(signals, 20'000);
  EXPECT_TRUE(has_no_request());
}

TEST_F(RunnerLinkTest, OneSignalOfEachNumberWaits) {
  std::vector<std::unique_ptr<RunningProgram>> fillers;
  const auto program = start(news_);
  accept();
  answer_started(request().id());
  std::vector<KeptProgramNews> news(100);
  for (auto& one : news) fillers.push_back(start(one, {std::string(64 * 1024, 'x')}));
  for (int i = 0; i < 100; ++i)
    for (const int number : {SIGUSR1, SIGUSR2}) program->send_signal(number);
  for (int i = 0; i < 100; ++i) EXPECT_TRUE(request().has_start());
  EXPECT_EQ(request().signal().number(), SIGUSR1);
  EXPECT_EQ(request().signal().number(), SIGUSR2);
  EXPECT_TRUE(has_no_request());
}

TEST_F(RunnerLinkTest, ReturnsTheConnectedSocket) {
  const auto attempt = link_.connect(service_, {.vm = "web1", .uuid = {}}, connect_news_);
  accept();
  const auto asked = request();
  EXPECT_EQ(asked.connect().target().service(), "backup");
  runner::Reply reply;
  reply.mutable_connected();
  answer(std::move(reply), asked.id(), UniqueFd::adopt(::open("/dev/null", O_RDWR | O_CLOEXEC)));
  EXPECT_TRUE(connect_news_.socket);
}

TEST_F(RunnerLinkTest, WithoutARunnerItFailsInTheNextTurn) {
  listener_.reset();
  const auto program = start(news_);
  const auto attempt = link_.connect(service_, {.vm = "web1", .uuid = {}}, connect_news_);
  EXPECT_FALSE(news_.is_over()) << "never from within start()";
  reactor_.run_ready();
  EXPECT_EQ(news_.failure->code, Code::kUnavailable);
  EXPECT_THAT(news_.failure->message, HasSubstr("hostcall-runner can't be reached: connect unix:"));
  EXPECT_EQ(connect_news_.failure->code, Code::kUnavailable);
}

TEST_F(RunnerLinkTest, WhatIsGivenUpBeforeItFailsIsNotTold) {
  listener_.reset();
  start(news_).reset();
  reactor_.run_ready();
  EXPECT_FALSE(news_.is_over());
}

TEST_F(RunnerLinkTest, ALostRunnerTakesTheOutcomeAlong) {
  const auto program = start(news_);
  const auto attempt = link_.connect(service_, {.vm = "web1", .uuid = {}}, connect_news_);
  accept();
  answer_started(request().id());
  runner_.reset();
  reactor_.run_ready();
  EXPECT_EQ(news_.failure->code, Code::kUnavailable);
  EXPECT_THAT(news_.failure->message, HasSubstr("lost, and with it the outcome"));
  EXPECT_EQ(connect_news_.failure->code, Code::kUnavailable);
  KeptProgramNews again;
  const auto next = start(again);
  accept();
  EXPECT_TRUE(request().has_start()) << "over a new connection";
}

// As handlers do that try again.
struct AsksAgain final : ProgramObserver {
  explicit AsksAgain(std::function<std::unique_ptr<RunningProgram>(ProgramObserver&)> ask) : ask_(std::move(ask)) {
    program_ = ask_(*this);
  }
  void on_started(const std::string&) override {}
  void on_ended(const ProgramEnd&) override {}
  void on_failed(const wire::Status&) override {
    if (++failures_ < 3) program_ = ask_(*this);
  }
  std::function<std::unique_ptr<RunningProgram>(ProgramObserver&)> ask_;
  std::unique_ptr<RunningProgram> program_;
  int failures_ = 0;
};

TEST_F(RunnerLinkTest, ObserversMayAskAgainFromWithin) {
  AsksAgain first([this](ProgramObserver& observer) { return start(observer); });
  AsksAgain second([this](ProgramObserver& observer) { return start(observer); });
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(first.failures_, i);
    accept();
    runner_.reset();
    reactor_.run_ready();
  }
  EXPECT_EQ(first.failures_, 3);
  EXPECT_EQ(second.failures_, 3);
}

TEST_F(RunnerLinkTest, ARunnerThatBreaksTheRulesIsLeft) {
  const auto program = start(news_);
  accept();
  runner::Reply reply;
  reply.mutable_connected();
  answer(std::move(reply), request().id());
  EXPECT_THAT(news_.failure->message, HasSubstr("a reply to something else"));
  KeptProgramNews news;
  const auto next = start(news);
  accept();
  ASSERT_TRUE(send_packet(runner_.get(), {"\xff", {}}).value());
  reactor_.run_ready();
  EXPECT_THAT(news.failure->message, HasSubstr("no reply"));
}

TEST_F(RunnerLinkTest, ASilentRunnerIsNotWaitedFor) {
  const auto program = start(news_);
  const auto attempt = link_.connect(service_, {.vm = "web1", .uuid = {}}, connect_news_);
  accept();
  const auto id = request().id();
  EXPECT_TRUE(request().has_connect());
  time_.advance(seconds(15));
  reactor_.run_ready();
  EXPECT_EQ(connect_news_.failure->code, Code::kUnavailable);
  EXPECT_TRUE(request().has_cancel());
  EXPECT_FALSE(news_.is_over());
  time_.advance(seconds(15));
  reactor_.run_ready();
  EXPECT_EQ(news_.failure->message, "hostcall-runner did not answer in time");
  const auto cancel = request();
  EXPECT_TRUE(cancel.has_cancel());
  EXPECT_EQ(cancel.id(), id);
}

TEST_F(RunnerLinkTest, ARunningProgramHasAllTimeInTheWorld) {
  const auto program = start(news_);
  accept();
  answer_started(request().id());
  time_.advance(std::chrono::hours(1000));
  reactor_.run_ready();
  EXPECT_FALSE(news_.is_over());
  EXPECT_TRUE(has_no_request());
}

// Its queue is bounded, and its start is not even tried once it has been given up.
TEST_F(RunnerLinkTest, ARunnerThatDoesNotReadIsNotFed) {
  std::vector<std::unique_ptr<RunningProgram>> programs;
  std::vector<KeptProgramNews> news(2000);
  for (auto& one : news) programs.push_back(start(one, {std::string(4096, 'x')}));
  accept();
  reactor_.run_ready();
  EXPECT_EQ(news.back().failure->code, Code::kResourceExhausted);
  programs.clear();
  std::size_t starts = 0, cancels = 0;
  while (!has_no_request()) ++starts;  // has_no_request() takes one
  for (const auto& one : news) cancels += one.failure ? 0 : 1;
  EXPECT_GT(cancels, 1000U);
  EXPECT_LT(starts, 300U);
}

TEST_F(RunnerLinkTest, TooManyArgumentsAreRefused) {
  const auto program = start(news_, std::vector<std::string>(64, std::string(4096, 'x')));
  reactor_.run_ready();
  EXPECT_EQ(news_.failure->code, Code::kInvalidArgument);
}

TEST_F(RunnerLinkTest, AnIdleConnectionIsClosed) {
  auto program = start(news_);
  accept();
  EXPECT_TRUE(request().has_start());
  program.reset();
  EXPECT_TRUE(request().has_cancel());
  time_.advance(seconds(59));
  EXPECT_TRUE(has_no_request());
  time_.advance(seconds(1));
  EXPECT_TRUE(is_closed());
  program = start(news_);
  accept();
  EXPECT_TRUE(request().has_start());
}

TEST_F(RunnerLinkTest, TcpIsForAnotherOne) {
  const auto tcp = listen_at(directory_ / "connect.sock");
  HostRunner host(reactor_, {.socket_directory = directory_.path(), .program = {}, .services = {}});
  SocketService socket;
  socket.tcp_host = "127.0.0.1";
  service_.kind = socket;
  auto attempt = host.connect(service_, {.vm = "web1", .uuid = {}}, connect_news_);
  runner_ = UniqueFd::adopt(::accept4(tcp.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  EXPECT_TRUE(request().has_connect());
  socket.unix_path = "/run/x";
  service_.kind = socket;
  attempt = host.connect(service_, {.vm = "web1", .uuid = {}}, connect_news_);
  accept();
  EXPECT_TRUE(request().has_connect());
}

}  // namespace
}  // namespace hostcall::daemon
