// Thrift's client: calls side by side by send_echo() and recv_echo(), which the generated code has for that, in order.
#include <poll.h>
#include <sys/socket.h>
#include <thrift/protocol/TBinaryProtocol.h>
#include <thrift/transport/TSocket.h>

#include <deque>
#include <vector>

#include "Echo.h"
#include "tests/bench/harness/client.h"
#include "tests/bench/thrift/transport.h"

namespace hostcall::bench {
namespace {

// Both sides write before they read: all calls in flight have to fit into the socket's buffers.
constexpr int kSendBuffer = 212'992;

struct Connection {
  explicit Connection(const std::string& path)
      : socket(std::make_shared<apache::thrift::transport::TSocket>(path)),
        transport(make_transport(socket)),
        echo(std::make_shared<apache::thrift::protocol::TBinaryProtocol>(transport)) {
    transport->open();
    ::setsockopt(socket->getSocketFD(), SOL_SOCKET, SO_SNDBUF, &kSendBuffer, sizeof kSendBuffer);
  }
  std::shared_ptr<apache::thrift::transport::TSocket> socket;
  std::shared_ptr<apache::thrift::transport::TTransport> transport;
  ::bench::EchoClient echo;
};

class ThriftClient final : public Client {
 public:
  ThriftClient(const Arguments& arguments, Ends& ends)
      : arguments_(arguments), ends_(ends), payload_(pattern(arguments.payload)) {}

  void call() override { call_on(first()); }
  void connect() override {
    Connection connection(arguments_.path_of(0));
    call_on(connection);
  }

  void open(unsigned connections) override {
    while (connections_.size() < connections) {
      connections_.push_back(std::make_unique<Connection>(arguments_.path_of(0)));
      polled_.push_back({connections_.back()->socket->getSocketFD(), POLLIN, 0});
    }
  }
  void start(unsigned slot) override {
    connections_[connections_.size() == 1 ? 0 : slot]->echo.send_echo(payload_);
    if (connections_.size() == 1) slots_.push_back(slot);
  }
  void wait() override {
    if (connections_.size() == 1) {
      const auto slot = slots_.front();
      slots_.pop_front();
      return receive(0, slot);
    }
    ::poll(polled_.data(), polled_.size(), -1);
    for (unsigned i = 0; i < polled_.size(); ++i)
      if (polled_[i].revents != 0) receive(i, i);
  }

 private:
  Connection& first() {
    open(1);
    return *connections_.front();
  }
  void call_on(Connection& connection) {
    connection.echo.echo(reply_, payload_);
    check_reply(reply_, payload_);
  }
  void receive(unsigned connection, unsigned slot) {
    connections_[connection]->echo.recv_echo(reply_);
    ends_.finished(slot, reply_);
  }

  const Arguments& arguments_;
  Ends& ends_;
  const std::string payload_;
  std::string reply_;
  std::vector<std::unique_ptr<Connection>> connections_;
  std::vector<pollfd> polled_;
  std::deque<unsigned> slots_;  // of the calls on the one connection, in their order
};

}  // namespace
}  // namespace hostcall::bench

int main(int argc, char** argv) {
  using namespace hostcall::bench;
  return run_client(argc, argv, [](const Arguments& arguments, Ends& ends) {
    return std::make_unique<ThriftClient>(arguments, ends);
  });
}
