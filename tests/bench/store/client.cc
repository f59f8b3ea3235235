// hostcall.v1.Store under load, by the public C++ interface; prints one line of JSON. Usage:
//   bench-store puts ADDRESS IN_FLIGHT CALLS    durable writes, each key of its own, so many in flight
//   bench-store get ADDRESS CALLS               reads, in turn with Session/Ping
//   bench-store watch ADDRESS WATCHES PUTS      a write at a time that so many watches see; {} is the number of the VM
//   bench-store fill ADDRESS KEYS               so many keys, in large transactions
//   bench-store fsync DIRECTORY CALLS           fdatasync(2) of 4 KiB at the end of a file there
#include <fcntl.h>
#include <hostcall/client.h>
#include <unistd.h>

#include <vector>

#include "hostcall/v1/session.hostcall.h"
#include "hostcall/v1/store.hostcall.h"
#include "proto/base/unique_fd.h"
#include "tests/bench/harness/client.h"
#include "tests/bench/harness/main.h"
#include "tests/bench/harness/measure.h"
#include "tests/bench/hostcall/require_ok.h"

namespace hostcall::bench {
namespace {

using std::chrono::seconds;

constexpr double kMostSamplesSeconds = 1;  // room for far more samples than there are
constexpr unsigned kWatchesPerConnection = 100;
constexpr unsigned kFillInFlight = 16;
constexpr unsigned kFillOperations = 120;
constexpr std::size_t kValueBytes = 64;

hostcall::Client make_client(const std::string& address) {
  auto client = hostcall::Client::make({.address = address, .client_name = "bench", .max_queued_calls = 100'000});
  require(client.ok(), client.status().message);
  require_ok(client->connect());
  return *std::move(client);
}

double seconds_since(Clock::time_point begin) { return std::chrono::duration<double>(Clock::now() - begin).count(); }

// Begins calls until `count` have ended, `in_flight` at a time.
template <class Method, class Make>
void run_calls(hostcall::Client& client, unsigned in_flight, unsigned count, Latencies& latencies, const Make& make) {
  unsigned begun = 0, ended = 0;
  std::function<void()> begin = [&] {
    const auto start = Clock::now();
    require_ok(client.start<Method>(make(begun++), [&, start](const auto& reply) {
      require_ok(reply.status());
      latencies.record(Clock::now() - start);
      ++ended;
      if (begun < count) begin();
    }));
  };
  while (begun < std::min(in_flight, count)) begin();
  while (ended < count) client.wait(kNoTimeout);
}

void puts(const std::string& address, unsigned in_flight, unsigned calls) {
  auto client = make_client(address);
  Latencies latencies(kMostSamplesSeconds);
  const auto begin = Clock::now();
  run_calls<v1::Store::Put>(client, in_flight, calls, latencies, [&](unsigned number) {
    v1::PutRequest request;
    request.set_key("/self/put/" + std::to_string(number % in_flight));
    request.set_value(pattern(kValueBytes));
    return request;
  });
  Result result;
  result.add("puts_per_s", calls / seconds_since(begin));
  result.add_percentiles("put", latencies);
  result.print();
}

void get(const std::string& address, unsigned calls) {
  auto client = make_client(address);
  v1::PutRequest put;
  put.set_key("/self/get");
  put.set_value(pattern(kValueBytes));
  require_ok(client.call<v1::Store::Put>(put).status());
  v1::GetRequest request;
  request.set_key(put.key());
  v1::PingRequest ping;
  ping.set_payload(put.value());
  v1::GetResponse found;
  v1::PingResponse pong;
  Latencies gets(kMostSamplesSeconds), pings(kMostSamplesSeconds);
  for (unsigned i = 0; i < calls; ++i) {
    const auto begin = Clock::now();
    require_ok(client.call<v1::Store::Get>(request, found));
    const auto middle = Clock::now();
    require_ok(client.call<v1::Session::Ping>(ping, pong));
    gets.record(middle - begin);
    pings.record(Clock::now() - middle);
    check_reply(found.item().value(), put.value());
  }
  Result result;
  result.add_percentiles("get", gets);
  result.add_percentiles("ping", pings);
  result.print();
}

// Its watches share some connections, and all of it one thread: what a message waits here counts, too.
class Watchers {
 public:
  Watchers(const Arguments& address, unsigned watches) {
    v1::WatchRequest request;
    request.set_prefix("/shared/watched/");
    for (unsigned i = 0; i < watches; ++i) {
      if (i % kWatchesPerConnection == 0)
        clients_.push_back(make_client(address.address_of(i / kWatchesPerConnection)));
      auto stream = clients_.back().open<v1::Store::Watch>(request, {.timeout = kNoTimeout});
      require_ok(stream.status());
      streams_.push_back(*std::move(stream));
    }
    for (auto& stream : streams_) {
      v1::WatchResponse greeting;
      require(stream.recv(greeting), "a watch has no greeting");
      stream.on_event([this, &stream](unsigned) { take(stream); });
    }
  }

  // The next message of each counts from here.
  void expect(Clock::time_point commit) { commit_ = commit, told_ = 0; }
  void wait_for_all(Latencies& latencies) {
    latencies_ = &latencies;
    while (told_ < streams_.size())
      for (auto& client : clients_) client.wait(std::chrono::milliseconds(0));
  }

 private:
  void take(Stream<v1::Store::Watch>& stream) {
    v1::WatchResponse message;
    while (stream.try_recv(message) == Progress::kDone) {
      ++told_;
      if (latencies_ != nullptr) latencies_->record(Clock::now() - commit_);
    }
  }

  std::vector<hostcall::Client> clients_;
  std::vector<Stream<v1::Store::Watch>> streams_;
  Clock::time_point commit_;
  Latencies* latencies_ = nullptr;
  std::size_t told_ = 0;
};

void watch(const std::string& address, unsigned watches, unsigned puts) {
  Arguments arguments;
  arguments.address = address;
  auto writer = make_client(arguments.address_of(0));
  Watchers watchers(arguments, watches);
  Latencies latencies(kMostSamplesSeconds);
  v1::PutRequest request;
  request.set_key("/shared/watched/key");
  request.set_value(pattern(kValueBytes));
  for (unsigned i = 0; i < puts; ++i) {
    require_ok(writer.call<v1::Store::Put>(request).status());
    watchers.expect(Clock::now());
    watchers.wait_for_all(latencies);
  }
  Result result;
  result.add("watches", watches);
  result.add_percentiles("delivery", latencies);
  result.print();
}

void fill(const std::string& address, unsigned keys) {
  auto client = make_client(address);
  Latencies latencies(kMostSamplesSeconds);
  const auto begin = Clock::now();
  run_calls<v1::Store::Txn>(
      client, kFillInFlight, (keys + kFillOperations - 1) / kFillOperations, latencies, [&](unsigned number) {
        v1::TxnRequest request;
        for (unsigned i = number * kFillOperations; i < std::min((number + 1) * kFillOperations, keys); ++i) {
          auto& put = *request.add_then()->mutable_put();
          put.set_key("/vm/vm0/filled/" + std::to_string(i));
          put.set_value(pattern(kValueBytes));
        }
        return request;
      });
  Result result;
  result.add("keys", keys);
  result.add("seconds", seconds_since(begin));
  result.print();
}

void fsync_alone(const std::string& directory, unsigned calls) {
  const auto path = directory + "/fsync";
  const auto fd = UniqueFd::adopt(::open(path.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600));
  require(static_cast<bool>(fd), "can't make " + path);
  const auto block = pattern(4096);
  Latencies latencies(kMostSamplesSeconds);
  for (unsigned i = 0; i < calls; ++i) {
    const auto begin = Clock::now();
    require(::write(fd.get(), block.data(), block.size()) == static_cast<ssize_t>(block.size()), "short write");
    require(::fdatasync(fd.get()) == 0, "fdatasync");
    latencies.record(Clock::now() - begin);
  }
  ::unlink(path.c_str());
  Result result;
  result.add_percentiles("fsync", latencies);
  result.print();
}

void run(const std::vector<std::string>& words) {
  const auto is = [&](const char* verb, std::size_t count) { return words.size() == count && words[0] == verb; };
  const auto number = [&](std::size_t index) { return static_cast<unsigned>(std::stoul(words.at(index))); };
  if (is("puts", 4)) return puts(words[1], number(2), number(3));
  if (is("get", 3)) return get(words[1], number(2));
  if (is("watch", 4)) return watch(words[1], number(2), number(3));
  if (is("fill", 3)) return fill(words[1], number(2));
  if (is("fsync", 3)) return fsync_alone(words[1], number(2));
  require(false, "usage: see the head of tests/bench/store/client.cc");
}

}  // namespace
}  // namespace hostcall::bench

int main(int argc, char** argv) { return hostcall::bench::run_with_words(argc, argv, hostcall::bench::run); }
