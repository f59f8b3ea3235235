// Watches of the store in a real daemon: what they tell and when, and that neither a slow reader nor a watch that lasts
// holds anybody up. Whole histories are checked by history/.
#include <map>
#include <vector>

#include "tests/integration/store_guest.h"

namespace hostcall::test {
namespace {

TEST(StoreWatch, GreetsTellsEachRevisionOnceAndResumes) {
  DaemonProcess daemon;
  std::int64_t last = 0;
  {
    Guest web(daemon.vm_address("web1")), writer(daemon.vm_address("web1"));
    const auto stream = web.watch("/self/a/");
    const auto greeting = web.next(stream);
    EXPECT_EQ(greeting.events_size(), 0);
    const auto first = revision_of(writer.put("/self/a/x", "1"));
    EXPECT_EQ(greeting.revision() + 1, first);
    revision_of(writer.put("/self/b", "other"));
    const auto third = revision_of(writer.put("/self/a/x", "2"));
    for (const auto expected : {first, third}) {
      const auto message = web.next(stream);
      EXPECT_EQ(message.revision(), expected);
      ASSERT_EQ(message.events_size(), 1);
      EXPECT_EQ(message.events(0).item().mod_revision(), expected);
    }
    last = third;
    revision_of(writer.put("/self/a/y", "missed"));
  }
  EXPECT_EQ(daemon.stop(), 0);
  daemon.restart();
  Guest web(daemon.vm_address("web1"));
  const auto stream = web.watch("/self/a/", last + 1);
  EXPECT_EQ(web.next(stream).revision(), last);
  EXPECT_EQ(web.next(stream).events(0).item().value(), "missed");
  const auto future = web.wire.finish(web.watch("/self/a/", last + 100));
  expect_refused(future, Code::kFailedPrecondition, "in the future");
}

TEST(StoreWatch, ProgressShowsThatItLives) {
  DaemonProcess daemon;
  Guest web(daemon.vm_address("web1")), writer(daemon.vm_address("db1"));
  v1::WatchRequest request;
  request.set_prefix("/self/");
  request.set_progress_interval_ms(100);
  const auto stream = web.watch(request);
  const auto begin = web.next(stream).revision();
  revision_of(writer.put("/self/elsewhere", "1"));
  auto message = web.next(stream);
  EXPECT_TRUE(eventually([&] {
    if (message.revision() == begin) message = web.next(stream);
    return message.revision() != begin;
  }));
  EXPECT_EQ(message.events_size(), 0);
  EXPECT_EQ(message.revision(), begin + 1) << "progress covers what is not watched";
  request.set_progress_interval_ms(99);
  expect_refused(web.wire.finish(web.watch(request)), Code::kInvalidArgument, "progress_interval_ms");
}

// A watcher that does not read holds nobody up, and gets the latest state instead of all that it missed.
TEST(StoreWatch, ASlowReaderIsCoalesced) {
  DaemonProcess daemon({.config_json = R"("limits": {"store_write_burst": 1000000, "store_write_rate": 100000})"});
  Guest web(daemon.vm_address("web1")), writer(daemon.vm_address("web1"));
  const auto stream = web.watch("/self/");
  web.next(stream);
  constexpr int kWrites = 3000;
  const std::string value(2000, 'x');
  std::int64_t last = 0;
  std::vector<std::uint32_t> calls;
  for (int i = 0; i < kWrites; ++i) {
    const auto request = Guest::put_request("/self/k" + std::to_string(i % 10), value + std::to_string(i));
    calls.push_back(writer.wire.start("hostcall.v1.Store/Put", request.SerializeAsString()));
    if (calls.size() < 64) continue;
    for (const auto call : calls) last = revision_of(writer.wire.finish(call));
    calls.clear();
  }
  for (const auto call : calls) last = revision_of(writer.wire.finish(call));
  std::map<std::string, std::int64_t> latest;
  int messages = 0;
  bool coalesced = false;
  for (std::int64_t seen = 0; seen < last; ++messages) {
    const auto message = web.next(stream);
    ASSERT_FALSE(::testing::Test::HasFailure());
    coalesced |= message.coalesced();
    for (const auto& event : message.events()) {
      auto& revision = latest[event.item().key()];
      EXPECT_GT(event.item().mod_revision(), revision) << "in order, none twice";
      revision = event.item().mod_revision();
    }
    if (message.revision() != 0) seen = message.revision();
  }
  EXPECT_TRUE(coalesced);
  EXPECT_LT(messages, kWrites);
  EXPECT_EQ(latest.size(), 10U);
  const auto list = writer.list("/self/");
  for (const auto& item : list.items()) EXPECT_EQ(latest[item.key()], item.mod_revision());
}

// Though it would have been given more time than a test waits.
TEST(StoreWatch, DoesNotHoldUpADaemonThatStops) {
  DaemonProcess daemon({.timeouts_ms = {{"drain_ms", kFarMs}}});
  Guest web(daemon.vm_address("web1"));
  const auto stream = web.watch("/self/");
  web.next(stream);
  daemon.process().signal(SIGTERM);
  const auto answer = web.wire.finish(stream);
  EXPECT_EQ(answer.status.code, Code::kUnavailable);
  EXPECT_TRUE(web.wire.wait_for_close());
  EXPECT_EQ(daemon.process().wait(), 0);
}

}  // namespace
}  // namespace hostcall::test
