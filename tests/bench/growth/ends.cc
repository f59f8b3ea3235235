#include "hostcall/v1/diagnostics.pb.h"
#include "hostcall/v1/store.pb.h"
#include "tests/bench/growth/works.h"

namespace hostcall::bench {
namespace {

constexpr unsigned kWatchesPerConnection = 256;
constexpr std::uint32_t kLongMs = 60'000;

std::unique_ptr<WireClient> greeted(const Target& target) {
  auto client = std::make_unique<WireClient>(target.vm("vm0"));
  client->hello();
  return client;
}

// Until the daemon knows that all connections but the one that asks are gone.
void measure_end(const Target& target, const std::function<void()>& close_all) {
  Result result;
  Cost cost(target);
  close_all();
  cost.wait_for_counter("connections_open", 1);
  cost.add_to(result, "end");
  result.print();
}

}  // namespace

// All watches of all connections end at once.
void close_watches(const Target& target, unsigned count) {
  v1::WatchRequest request;
  request.set_prefix("/self/watched/");
  std::vector<std::unique_ptr<WireClient>> clients;
  for (unsigned i = 0; i < count; ++i) {
    if (i % kWatchesPerConnection == 0) clients.push_back(greeted(target));
    const auto watch =
        clients.back()->start("hostcall.v1.Store/Watch", request.SerializeAsString(), wire::Shape::kServerStream);
    if (!clients.back()->receive(watch)) throw std::runtime_error("a watch has no greeting");
  }
  measure_end(target, [&] { clients.clear(); });
}

// All calls of one connection end with it.
void close_calls(const Target& target, unsigned count) {
  auto client = greeted(target);
  v1::EchoRequest request;
  request.set_delay_ms(kLongMs);
  for (unsigned i = 0; i < count; ++i) client->start("hostcall.v1.Diagnostics/Echo", request.SerializeAsString());
  call(*client, "hostcall.v1.Session/Ping", v1::PingRequest());
  measure_end(target, [&] { client = nullptr; });
}

}  // namespace hostcall::bench
