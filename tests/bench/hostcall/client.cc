// hostcall by its public C++ interface: Diagnostics of a real daemon. Many connections are in one epoll set, as a
// program with an event loop of its own would have them. Mode "routed": calls of another server, through the daemon.
#include <hostcall/client.h>
#include <sys/epoll.h>

#include <vector>

#include "hostcall/v1/diagnostics.hostcall.h"
#include "proto/base/unique_fd.h"
#include "tests/bench/harness/client.h"
#include "tests/bench/hostcall/require_ok.h"
#include "tests/bench/hostcall/routed_echo.h"

namespace hostcall::bench {
namespace {

namespace Diagnostics = v1::Diagnostics;

constexpr int kEvents = 256;
constexpr std::uint32_t kLateMs = 5;
constexpr std::uint32_t kMaxQueued = 100'000;

// `Echo`: the unary method that is called.
template <class Echo>
class HostcallClient final : public Client {
 public:
  HostcallClient(const Arguments& arguments, Ends& ends)
      : arguments_(arguments), ends_(ends), payload_(pattern(arguments.payload)) {
    request_.set_payload(payload_);
    late_.set_payload(payload_);
    late_.set_delay_ms(kLateMs);
    source_.set_total_bytes(arguments.bytes);
    source_.set_chunk_bytes(static_cast<std::uint32_t>(arguments.chunk));
    chunk_.set_data(pattern(arguments.chunk));
  }

  void call() override { call_on(first()); }
  void connect() override {
    auto client = make_client(0);
    call_on(client);
  }

  void open(unsigned connections) override {
    epoll_ = UniqueFd::adopt(::epoll_create1(EPOLL_CLOEXEC));
    clients_.reserve(connections);
    for (unsigned i = 0; i < connections; ++i) {
      clients_.push_back(make_client(i));
      require_ok(clients_.back().connect());
      require_ok(clients_.back().watch(epoll_.get(), i));
    }
  }
  void start(unsigned slot) override {
    auto& client = clients_[clients_.size() == 1 ? 0 : slot];
    if (!processing_) begun_.push_back(&client);
    require_ok(client.start<Echo>(request_, response_, [this, slot](const Status& status) {
      require_ok(status);
      ends_.finished(slot, response_.payload());
    }));
  }
  void start_late() override {
    require_ok(clients_.front().start<Echo>(late_, response_, [this](const Status& status) {
      if (status.code == Code::kCancelled) return;  // the measurement is over
      require_ok(status);
      check_reply(response_.payload(), payload_);
    }));
  }
  void wait() override {
    if (clients_.size() == 1) return clients_.front().wait(kNoTimeout);
    for (auto* client : begun_) process(*client);
    begun_.clear();
    epoll_event events[kEvents];
    const int count = ::epoll_wait(epoll_.get(), events, kEvents, -1);
    for (int i = 0; i < count; ++i) process(clients_[events[i].data.u64]);
  }

  void download() override {
    hostcall::Client& client = first();
    auto stream = client.open<Diagnostics::Source>(source_);
    require_ok(stream.status());
    std::uint64_t got = 0;
    while (stream->recv(chunk_)) {
      check_chunk(chunk_.data(), arguments_.chunk);
      got += chunk_.data().size();
    }
    require_ok(stream->finish());
    check_total(got, arguments_.bytes);
  }
  void upload() override {
    hostcall::Client& client = first();
    auto stream = client.open<Diagnostics::Sink>();
    require_ok(stream.status());
    for (std::uint64_t sent = 0; sent < arguments_.bytes; sent += arguments_.chunk)
      if (!stream->send(chunk_)) break;
    const auto reply = stream->finish();
    require_ok(reply.status());
    check_total(reply->total_bytes(), arguments_.bytes);
  }

 private:
  hostcall::Client make_client(unsigned number) const {
    auto client = hostcall::Client::make({.address = arguments_.address_of(number),
                                          .client_name = "bench",
                                          .max_queued_calls = kMaxQueued,
                                          .busy_poll = std::chrono::microseconds(arguments_.busy_poll_usec)});
    require_ok(client.status());
    return *std::move(client);
  }
  hostcall::Client& first() {
    if (clients_.empty()) clients_.push_back(make_client(0));
    return clients_.front();
  }
  // Due at once: there is more to do, such as sending what a callback has begun.
  void process(hostcall::Client& client) {
    processing_ = true;
    do client.process();
    while (client.due() == std::chrono::steady_clock::time_point());
    processing_ = false;
  }
  void call_on(hostcall::Client& client) {
    require_ok(client.call<Echo>(request_, response_));
    check_reply(response_.payload(), payload_);
  }

  const Arguments& arguments_;
  Ends& ends_;
  const std::string payload_;
  v1::EchoRequest request_, late_;
  v1::EchoResponse response_;
  v1::SourceRequest source_;
  v1::Chunk chunk_;
  UniqueFd epoll_;
  std::vector<hostcall::Client> clients_;
  std::vector<hostcall::Client*> begun_;  // with calls that were not begun in a callback, and so are not sent yet
  bool processing_ = false;
};

}  // namespace
}  // namespace hostcall::bench

int main(int argc, char** argv) {
  using namespace hostcall::bench;
  return run_client(argc, argv, [](const Arguments& arguments, Ends& ends) -> std::unique_ptr<Client> {
    if (arguments.mode == "routed") return std::make_unique<HostcallClient<RoutedEcho>>(arguments, ends);
    return std::make_unique<HostcallClient<Diagnostics::Echo>>(arguments, ends);
  });
}
