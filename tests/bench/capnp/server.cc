// Cap'n Proto's server: two-party RPC on KJ's event loop.
#include <capnp/rpc-twoparty.h>
#include <kj/async-io.h>

#include <iostream>
#include <string>

#include "tests/bench/capnp/sink.h"

namespace hostcall::bench {
namespace {

class EchoServer final : public ::bench::Echo::Server {
  kj::Promise<void> call(CallContext context) override {
    context.getResults().setData(context.getParams().getData());
    return kj::READY_NOW;
  }
  kj::Promise<void> source(SourceContext context) override {
    const auto params = context.getParams();
    chunk_.resize(params.getChunk());
    for (std::size_t i = 0; i < chunk_.size(); ++i) chunk_[i] = static_cast<char>(i);
    return send_chunks(params.getSink(), chunk_, params.getBytes()).ignoreResult();
  }
  kj::Promise<void> sink(SinkContext context) override {
    context.getResults().setSink(kj::heap<CountingSink>([](std::string_view) {}));
    return kj::READY_NOW;
  }

  std::string chunk_;
};

void serve(const char* address) {
  auto io = kj::setupAsyncIo();
  auto listener = io.provider->getNetwork().parseAddress(address).wait(io.waitScope)->listen();
  capnp::TwoPartyServer server(kj::heap<EchoServer>());
  server.listen(*listener).wait(io.waitScope);
}

}  // namespace
}  // namespace hostcall::bench

int main(int argc, char** argv) {
  if (argc < 2) {
    std::cerr << "usage: bench-capnp-server ADDRESS\n";
    return 1;
  }
  hostcall::bench::serve(argv[1]);
}
