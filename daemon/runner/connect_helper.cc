#include "daemon/runner/connect_helper.h"

#include <fcntl.h>
#include <unistd.h>

#include <utility>

#include "daemon/loop/reactor.h"
#include "daemon/runner/connector.h"
#include "daemon/runner/packet.h"
#include "proto/net/address.h"

namespace hostcall::daemon {
namespace {

class Helper final : public AttemptObserver {
 public:
  explicit Helper(Reactor& reactor) : reactor_(reactor) {}

  void on_socket(UniqueFd socket) override {
    runner::Reply reply;
    reply.mutable_connected();
    send(reply, std::move(socket));
  }
  void on_no_socket(const wire::Status& status) override {
    runner::Reply reply;
    reply.mutable_failed()->set_code(static_cast<int>(status.code));
    reply.mutable_failed()->set_text(status.message);
    send(reply, {});
  }
  void on_stopped() override {}
  bool has_sent() const { return has_sent_; }

 private:
  void send(const runner::Reply& reply, UniqueFd socket) {
    Packet packet{reply.SerializeAsString(), {}};
    if (socket) packet.descriptors.push_back(std::move(socket));
    const auto sent = send_packet(STDIN_FILENO, packet);
    has_sent_ = sent.ok() && sent.value();
    reactor_.stop();
  }
  Reactor& reactor_;
  bool has_sent_ = false;
};

}  // namespace

int run_connect_helper(const std::string& address) {
  constexpr std::string_view kScheme = "unix:";
  if (!address.starts_with(kScheme)) return 2;
  SocketService socket;
  socket.unix_path = address.substr(kScheme.size());
  if (!net::Address::at_path(socket.unix_path).ok()) return 2;
  Reactor reactor;
  Helper helper(reactor);
  const char* const service = ::getenv("HOSTCALL_SERVICE");
  const Connector connector(reactor, service == nullptr ? "" : service, socket, helper);
  reactor.run();
  return helper.has_sent() ? 0 : 1;
}

}  // namespace hostcall::daemon
