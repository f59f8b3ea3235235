// hostcall.h in an event loop: started calls, stream callbacks, one descriptor for poll() and epoll.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <hostcall/hostcall.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include "tests/unit/client/lib/c_api_fixture.h"

namespace hostcall::test {
namespace {

using CLoop = CApi;

struct Outcome {
  std::vector<int> codes;
  std::string last;
  static void note(void* user, const hostcall_result* result) {
    auto& self = *static_cast<Outcome*>(user);
    self.codes.push_back(hostcall_result_code(result));
    std::size_t size = 0;
    const auto* data = static_cast<const char*>(hostcall_result_payload(result, &size));
    self.last.assign(data, size);
  }
};

// A loop as hostcall.h describes it.
template <class Done>
void run_loop(hostcall_client* client, Done done) {
  const int fd = hostcall_fd(client);
  ASSERT_GE(fd, 0);
  for (int round = 0; round < 10'000 && !done(); ++round) {
    pollfd entry{.fd = fd, .events = POLLIN, .revents = 0};
    ASSERT_GE(::poll(&entry, 1, hostcall_timeout_ms(client)), 0);
    ASSERT_EQ(hostcall_process(client), HOSTCALL_OK);
    ASSERT_EQ(hostcall_fd(client), fd) << "it stays the same";
  }
  EXPECT_TRUE(done());
}

TEST_F(CLoop, StartedCallsEndInTheLoop) {
  start();
  Outcome outcome;
  for (int i = 0; i < 64; ++i)
    ASSERT_EQ(
        hostcall_start(client_, "t.T/Echo", text("x" + std::to_string(i)), nullptr, Outcome::note, &outcome, nullptr),
        HOSTCALL_OK);
  EXPECT_TRUE(outcome.codes.empty()) << "never inside hostcall_start()";
  run_loop(client_, [&] { return outcome.codes.size() == 64; });
  EXPECT_THAT(outcome.codes, testing::Each(HOSTCALL_OK));
  EXPECT_EQ(outcome.last, "x63");
  EXPECT_GT(hostcall_timeout_ms(client_), 0) << "no spinning";
}

TEST_F(CLoop, DueIsTheMomentAtWhichTheTimeOutHasPassed) {
  start();
  EXPECT_EQ(hostcall_due_ns(client_), INT64_MAX) << "nothing is under way";
  Outcome echoed, hanging;
  hostcall_start(client_, "t.T/Echo", text("x"), nullptr, Outcome::note, &echoed, nullptr);
  run_loop(client_, [&] { return !echoed.codes.empty(); });
  const auto begin = std::chrono::steady_clock::now().time_since_epoch();
  const hostcall_call_options options{sizeof options, 60'000, 0};
  std::uint64_t id = 0;
  hostcall_start(client_, "t.T/Hang", text(""), &options, Outcome::note, &hanging, &id);
  EXPECT_EQ(hostcall_due_ns(client_), 0) << "it is not sent yet";
  hostcall_process(client_);
  const std::chrono::nanoseconds due(hostcall_due_ns(client_));
  const auto timeout = std::chrono::milliseconds(hostcall_timeout_ms(client_));
  const auto end = std::chrono::steady_clock::now().time_since_epoch();
  EXPECT_GT(due, begin);
  EXPECT_LE(due, begin + std::chrono::minutes(1) + (end - begin));
  EXPECT_GE(begin + timeout + (end - begin), due);
  EXPECT_LE(begin + timeout, due + std::chrono::milliseconds(1));
  hostcall_cancel(client_, id);
  hostcall_process(client_);
  EXPECT_EQ(hanging.codes, std::vector<int>{HOSTCALL_CANCELLED});
}

TEST_F(CLoop, TheLoopSurvivesALostConnection) {
  start();
  Outcome dropped, echoed;
  hostcall_start(client_, "t.T/Drop", text(""), nullptr, Outcome::note, &dropped, nullptr);
  run_loop(client_, [&] { return !dropped.codes.empty(); });
  EXPECT_EQ(dropped.codes[0], HOSTCALL_UNAVAILABLE);
  hostcall_start(client_, "t.T/Echo", text("again"), nullptr, Outcome::note, &echoed, nullptr);
  run_loop(client_, [&] { return !echoed.codes.empty(); });
  EXPECT_EQ(echoed.last, "again");
}

TEST_F(CLoop, WaitingEndsACancelledCallAtOnce) {
  start();
  Outcome echoed, hanging;
  std::uint64_t id = 0;
  hostcall_start(client_, "t.T/Echo", text("x"), nullptr, Outcome::note, &echoed, nullptr);
  hostcall_start(client_, "t.T/Hang", text(""), nullptr, Outcome::note, &hanging, &id);
  while (echoed.codes.empty()) ASSERT_EQ(hostcall_wait(client_, 1000), HOSTCALL_OK);
  EXPECT_EQ(hostcall_cancel(client_, id), HOSTCALL_OK);
  EXPECT_EQ(hostcall_wait(client_, HOSTCALL_NO_TIMEOUT), HOSTCALL_OK) << "although the host says nothing";
  EXPECT_EQ(hanging.codes, std::vector<int>{HOSTCALL_CANCELLED});
}

TEST_F(CLoop, CancelEndsAStartedCallOnceAndOldIdsAreHarmless) {
  start();
  Outcome first, second;
  std::uint64_t id = 0, later = 0;
  ASSERT_EQ(hostcall_start(client_, "t.T/Hang", text(""), nullptr, Outcome::note, &first, &id), HOSTCALL_OK);
  EXPECT_EQ(hostcall_cancel(client_, id), HOSTCALL_OK);
  EXPECT_TRUE(first.codes.empty());
  EXPECT_EQ(hostcall_timeout_ms(client_), 0) << "the loop must not sleep over it";
  EXPECT_EQ(hostcall_due_ns(client_), 0);
  hostcall_process(client_);
  EXPECT_EQ(first.codes, std::vector<int>{HOSTCALL_CANCELLED});
  // The slot is used again; the old id must not hit the new call.
  ASSERT_EQ(hostcall_start(client_, "t.T/Echo", text("y"), nullptr, Outcome::note, &second, &later), HOSTCALL_OK);
  EXPECT_NE(id, later);
  EXPECT_EQ(hostcall_cancel(client_, id), HOSTCALL_OK);
  EXPECT_EQ(hostcall_cancel(client_, 0), HOSTCALL_OK);
  run_loop(client_, [&] { return !second.codes.empty(); });
  EXPECT_EQ(second.last, "y");
  EXPECT_EQ(first.codes.size(), 1u);
}

TEST_F(CLoop, FreeingTheClientRunsTheCallbacks) {
  start();
  Outcome outcome;
  for (int i = 0; i < 3; ++i) hostcall_start(client_, "t.T/Hang", text(""), nullptr, Outcome::note, &outcome, nullptr);
  hostcall_client_free(std::exchange(client_, nullptr));
  EXPECT_EQ(outcome.codes, (std::vector<int>{HOSTCALL_CANCELLED, HOSTCALL_CANCELLED, HOSTCALL_CANCELLED}));
}

TEST_F(CLoop, ACallbackMayCallAgain) {
  start();
  struct Chain {
    hostcall_client* client;
    hostcall_result* result;
    int rounds = 0;
    std::string blocking;
    static void next(void* user, const hostcall_result*) {
      auto& self = *static_cast<Chain*>(user);
      if (hostcall_call(self.client, "t.T/Echo", text("nested"), nullptr, self.result) == HOSTCALL_OK) ++self.rounds;
      if (self.rounds < 5) hostcall_start(self.client, "t.T/Echo", text(""), nullptr, next, user, nullptr);
    }
  } chain{client_, result_, 0, {}};
  hostcall_start(client_, "t.T/Echo", text(""), nullptr, Chain::next, &chain, nullptr);
  run_loop(client_, [&] { return chain.rounds == 5; });
}

TEST_F(CLoop, AFullQueueRefusesAtOnce) {
  auto script = serving_script();
  script.answer_hello = false;
  start(script, [](hostcall_options& options) { options.max_queued_calls = 2; });
  Outcome outcome;
  EXPECT_EQ(hostcall_start(client_, "t.T/Echo", text(""), nullptr, Outcome::note, &outcome, nullptr), HOSTCALL_OK);
  EXPECT_EQ(hostcall_start(client_, "t.T/Echo", text(""), nullptr, Outcome::note, &outcome, nullptr), HOSTCALL_OK);
  EXPECT_EQ(hostcall_start(client_, "t.T/Echo", text(""), nullptr, Outcome::note, &outcome, nullptr),
            HOSTCALL_RESOURCE_EXHAUSTED);
  hostcall_client_free(std::exchange(client_, nullptr));
  EXPECT_EQ(outcome.codes.size(), 2u) << "the refused one has no callback";
}

TEST_F(CLoop, StreamsInTheLoop) {
  start();
  struct Pump {
    int sent = 0;
    std::size_t got = 0;
    bool closed = false;
    static void on_event(void* user, hostcall_stream* stream, unsigned events) {
      auto& self = *static_cast<Pump*>(user);
      const std::string chunk(10'000, 'x');
      if ((events & HOSTCALL_WRITABLE) != 0) {
        while (self.sent < 100 && hostcall_stream_try_send(stream, text(chunk)) == HOSTCALL_OK) ++self.sent;
        if (self.sent == 100) hostcall_stream_close_send(stream);
      }
      const void* data = nullptr;
      std::size_t size = 0;
      while (hostcall_stream_try_recv(stream, &data, &size) == HOSTCALL_OK) self.got += size;
      if ((events & HOSTCALL_CLOSED) == 0) return;
      self.closed = true;
      hostcall_stream_free(stream);
    }
  } pump;
  // 1 MB each way through windows of 64 KiB.
  auto* stream = open("t.T/EchoStream", HOSTCALL_BIDI_STREAM);
  EXPECT_EQ(hostcall_stream_set_callback(stream, Pump::on_event, &pump), HOSTCALL_OK);
  run_loop(client_, [&] { return pump.closed; });
  EXPECT_EQ(pump.sent, 100);
  EXPECT_EQ(pump.got, 1'000'000u);
}

TEST_F(CLoop, ACallbackSetLateIsToldWhatIsThere) {
  start();
  auto* stream = open("t.T/Source", HOSTCALL_SERVER_STREAM);
  EXPECT_EQ(received(stream, hostcall_stream_recv), std::string("\n\x01") + "0");
  unsigned seen = 0;
  const auto note = [](void* user, hostcall_stream*, unsigned events) { *static_cast<unsigned*>(user) |= events; };
  hostcall_stream_set_callback(stream, note, &seen);
  EXPECT_EQ(seen, 0u);
  run_loop(client_, [&] { return seen == (HOSTCALL_READABLE | HOSTCALL_CLOSED); });
  hostcall_stream_free(stream);
}

TEST_F(CLoop, WaitIsOneRoundOfALoop) {
  start();
  Outcome outcome;
  hostcall_start(client_, "t.T/Echo", text("w"), nullptr, Outcome::note, &outcome, nullptr);
  for (int round = 0; round < 100 && outcome.codes.empty(); ++round)
    EXPECT_EQ(hostcall_wait(client_, 1'000), HOSTCALL_OK);
  EXPECT_EQ(outcome.last, "w");
  EXPECT_EQ(hostcall_wait(client_, 0), HOSTCALL_OK);
}

TEST_F(CLoop, WorksInsideAnEpollLoop) {
  start();
  const auto epoll = UniqueFd::adopt(::epoll_create1(EPOLL_CLOEXEC));
  epoll_event event{};
  event.events = EPOLLIN;
  ASSERT_EQ(::epoll_ctl(epoll.get(), EPOLL_CTL_ADD, hostcall_fd(client_), &event), 0);
  Outcome outcome;
  hostcall_start(client_, "t.T/Echo", text("e"), nullptr, Outcome::note, &outcome, nullptr);
  for (int round = 0; round < 1'000 && outcome.codes.empty(); ++round) {
    ::epoll_wait(epoll.get(), &event, 1, hostcall_timeout_ms(client_));
    hostcall_process(client_);
  }
  EXPECT_EQ(outcome.last, "e");
}

TEST_F(CLoop, WatchesItsSocketsInTheCallersEpollSet) {
  start();
  constexpr std::uint64_t kData = 0x1'2345'6789;
  const auto epoll = UniqueFd::adopt(::epoll_create1(EPOLL_CLOEXEC));
  ASSERT_EQ(hostcall_watch(client_, epoll.get(), kData), HOSTCALL_OK);
  Outcome dropped, echoed;
  const auto run = [&](const Outcome& outcome) {
    for (int round = 0; round < 1'000 && outcome.codes.empty(); ++round) {
      epoll_event event{};
      const int ready = ::epoll_wait(epoll.get(), &event, 1, hostcall_timeout_ms(client_));
      const std::uint64_t data = event.data.u64;  // epoll_event is packed: no reference to what is in it
      EXPECT_EQ(data, ready == 1 ? kData : 0);
      hostcall_process(client_);
    }
  };
  hostcall_start(client_, "t.T/Drop", text(""), nullptr, Outcome::note, &dropped, nullptr);
  run(dropped);
  EXPECT_EQ(dropped.codes, std::vector<int>{HOSTCALL_UNAVAILABLE});
  hostcall_start(client_, "t.T/Echo", text("again"), nullptr, Outcome::note, &echoed, nullptr);
  run(echoed);
  EXPECT_EQ(echoed.last, "again") << "on another socket";
  epoll_event event{};
  EXPECT_EQ(::epoll_wait(epoll.get(), &event, 1, 0), 0) << "nothing to do, nothing told";
}

// Nothing would wake the loop, so the call must not wait for it.
TEST_F(CLoop, AConnectionThatCanNotBeWatchedIsLost) {
  start();
  const auto no_set = UniqueFd::adopt(::eventfd(0, EFD_CLOEXEC));
  ASSERT_EQ(hostcall_watch(client_, no_set.get(), 0), HOSTCALL_OK);
  std::string why;
  const auto note = [](void* user, const hostcall_result* result) {
    EXPECT_EQ(hostcall_result_code(result), HOSTCALL_UNAVAILABLE);
    *static_cast<std::string*>(user) = hostcall_result_message(result);
  };
  hostcall_start(client_, "t.T/Echo", text("e"), nullptr, note, &why, nullptr);
  for (int round = 0; round < 1'000 && why.empty(); ++round) {
    ASSERT_NE(hostcall_timeout_ms(client_), -1) << "it waits for an event that never comes";
    hostcall_process(client_);
  }
  EXPECT_THAT(why, testing::HasSubstr("can't watch the connection: epoll_ctl: Invalid argument"));
}

TEST_F(CLoop, IsWatchedInOnePlaceOnly) {
  start();
  const auto epoll = UniqueFd::adopt(::epoll_create1(EPOLL_CLOEXEC));
  ASSERT_EQ(hostcall_watch(client_, epoll.get(), 0), HOSTCALL_OK);
  EXPECT_EQ(hostcall_watch(client_, epoll.get(), 0), HOSTCALL_FAILED_PRECONDITION);
  EXPECT_EQ(hostcall_fd(client_), -1);
}

TEST_F(CLoop, HasADescriptorOrACallersEpollSet) {
  start();
  const auto epoll = UniqueFd::adopt(::epoll_create1(EPOLL_CLOEXEC));
  ASSERT_GE(hostcall_fd(client_), 0);
  EXPECT_EQ(hostcall_watch(client_, epoll.get(), 0), HOSTCALL_FAILED_PRECONDITION);
  EXPECT_EQ(hostcall_watch(client_, -1, 0), HOSTCALL_INVALID_ARGUMENT);
}

}  // namespace
}  // namespace hostcall::test
