// Cap'n Proto's client: promises on KJ's event loop.
#include "tests/bench/harness/client.h"

#include <capnp/rpc-twoparty.h>
#include <kj/async-io.h>

#include <vector>

#include "tests/bench/capnp/sink.h"

namespace hostcall::bench {
namespace {

struct Connection {
  Connection(kj::AsyncIoContext& io, const std::string& address)
      : stream(io.provider->getNetwork()
                   .parseAddress(address.c_str())
                   .then([](kj::Own<kj::NetworkAddress> at) { return at->connect().attach(kj::mv(at)); })
                   .wait(io.waitScope)),
        rpc(*stream),
        echo(rpc.bootstrap().castAs<::bench::Echo>()) {}
  kj::Own<kj::AsyncIoStream> stream;
  capnp::TwoPartyClient rpc;
  ::bench::Echo::Client echo;
};

class CapnpClient final : public Client, private kj::TaskSet::ErrorHandler {
 public:
  CapnpClient(const Arguments& arguments, Ends& ends)
      : arguments_(arguments),
        ends_(ends),
        payload_(pattern(arguments.payload)),
        chunk_(pattern(arguments.chunk)),
        io_(kj::setupAsyncIo()) {}

  // KJ's destructors may throw; then this ends the program.
  ~CapnpClient() noexcept override = default;

  void call() override { call_on(first()); }
  void connect() override {
    Connection connection(io_, arguments_.address);
    call_on(connection);
  }

  void open(unsigned connections) override {
    while (connections_.size() < connections) {
      connections_.push_back(kj::heap<Connection>(io_, arguments_.address));
      call_on(*connections_.back());
    }
  }
  void start(unsigned slot) override {
    auto request = connections_[connections_.size() == 1 ? 0 : slot]->echo.callRequest();
    request.setData(data_of(payload_));
    calls_.add(request.send().then([this, slot](capnp::Response<::bench::Echo::CallResults> reply) {
      ends_.finished(slot, view_of(reply.getData()));
      if (waiter_ != nullptr) waiter_->fulfill();
    }));
  }
  void wait() override {
    auto ended = kj::newPromiseAndFulfiller<void>();
    waiter_ = ended.fulfiller.get();
    ended.promise.wait(io_.waitScope);
    waiter_ = nullptr;
  }

  void download() override {
    auto request = first().echo.sourceRequest();
    std::uint64_t got = 0;
    request.setBytes(arguments_.bytes);
    request.setChunk(static_cast<std::uint32_t>(arguments_.chunk));
    request.setSink(kj::heap<CountingSink>([&](std::string_view chunk) {
      check_chunk(chunk, arguments_.chunk);
      got += chunk.size();
    }));
    request.send().wait(io_.waitScope);
    check_total(got, arguments_.bytes);
  }
  void upload() override {
    auto sink = first().echo.sinkRequest().send().getSink();
    check_total(send_chunks(kj::mv(sink), chunk_, arguments_.bytes).wait(io_.waitScope), arguments_.bytes);
  }

 private:
  void taskFailed(kj::Exception&& error) override { kj::throwFatalException(kj::mv(error)); }
  Connection& first() {
    open(1);
    return *connections_.front();
  }
  void call_on(Connection& connection) {
    auto request = connection.echo.callRequest();
    request.setData(data_of(payload_));
    const auto reply = request.send().wait(io_.waitScope);
    check_reply(view_of(reply.getData()), payload_);
  }

  const Arguments& arguments_;
  Ends& ends_;
  const std::string payload_, chunk_;
  kj::AsyncIoContext io_;
  std::vector<kj::Own<Connection>> connections_;
  kj::TaskSet calls_{*this};
  kj::PromiseFulfiller<void>* waiter_ = nullptr;
};

}  // namespace
}  // namespace hostcall::bench

int main(int argc, char** argv) {
  using namespace hostcall::bench;
  return run_client(argc, argv, [](const Arguments& arguments, Ends& ends) {
    return std::make_unique<CapnpClient>(arguments, ends);
  });
}
