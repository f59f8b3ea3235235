// Thrift's threaded server, a thread for each connection.
#include <thrift/protocol/TBinaryProtocol.h>
#include <thrift/server/TThreadedServer.h>
#include <thrift/transport/TServerSocket.h>

#include <iostream>

#include "Echo.h"
#include "tests/bench/thrift/transport.h"

namespace hostcall::bench {
namespace {

class EchoHandler final : public ::bench::EchoIf {
  void echo(std::string& reply, const std::string& data) override { reply = data; }
};

class TransportFactory final : public apache::thrift::transport::TTransportFactory {
  using Transport = apache::thrift::transport::TTransport;
  std::shared_ptr<Transport> getTransport(std::shared_ptr<Transport> socket) override { return make_transport(socket); }
};

void serve(const std::string& path) {
  using namespace apache::thrift;
  const auto listener = std::make_shared<transport::TServerSocket>(path);
  listener->setInterruptableChildren(false);  // as its header says: without a poll() for each read
  server::TThreadedServer(std::make_shared<::bench::EchoProcessor>(std::make_shared<EchoHandler>()), listener,
                          std::make_shared<TransportFactory>(), std::make_shared<protocol::TBinaryProtocolFactory>())
      .serve();
}

}  // namespace
}  // namespace hostcall::bench

int main(int argc, char** argv) {
  if (argc < 2) {
    std::cerr << "usage: bench-thrift-server unix:/path\n";
    return 1;
  }
  hostcall::bench::serve(std::string(argv[1]).substr(5));
}
