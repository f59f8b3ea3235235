// Fuzzes routed services by a server that says whatever it likes, to calls of both protocols: every call
// ends, the daemon's frames are right, and nothing stays charged.
//
// Input: choices, see HostServer::step().
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "daemon/services/routed_service.h"
#include "hostcall/v1/session.hostcall.h"
#include "tests/fuzz/raw_peer.h"
#include "tests/support/rig.h"
#include "tests/support/scripted_runner.h"

namespace hostcall::fuzz {
namespace {

using namespace daemon;
using wire::FrameType;
using wire::Shape;

// Without descriptors, hostcalld can't tell a stream of requests with one reply from one with many, and passes on what
// the caller did not ask for.
constexpr Shape kShapes[] = {Shape::kUnary, Shape::kServerStream, Shape::kBidiStream};
constexpr FrameType kTypes[] = {FrameType::kResponse, FrameType::kData,   FrameType::kResponse, FrameType::kData,
                                FrameType::kWindow,   FrameType::kPing,   FrameType::kPong,     FrameType::kGoaway,
                                FrameType::kCancel,   FrameType::kRequest};

class HostServer {
 public:
  explicit HostServer(Choices& choices) : choices_(choices) {
    rig_.router.protocol<v1::Session::Hello>(Audience::kGuest);
    rig_.router.add_routes(routes_);
    rig_.start();
    const bool is_ttrpc = choices_.byte() % 2 == 0;
    rig_.use_services(
        R"({"service": "a.B", "streaming": true, "concurrent_per_vm": 20, "metadata": ["*"], "protocol": ")" +
        std::string(is_ttrpc ? "ttrpc" : "hostcall") + R"(", "ttrpc": "unix:)" + path() + "\"}");
    listener_ = net::listen(net::unix_address(path())).value();
    guest_ = rig_.peer("web1");
    guest_->hello();
  }
  ~HostServer() { rig_.stop(); }

  void step() {
    switch (choices_.byte() % 12) {
      case 0:
      case 1: return open();
      case 2: return send();
      case 3: return end_one();
      case 4: return rig_.advance(milliseconds(choices_.byte() * 30));
      case 5: return hello();
      case 6: return peers_.empty() ? settle() : (void)(peers_[choices_.byte() % peers_.size()]->close(), settle());
      case 7: return say(std::string(choices_.text()));
      default: return say_frame();
    }
  }
  void end() {
    listener_.reset();
    for (const auto& peer : peers_) peer->close();
    settle();
    for (int i = 0; i < 10 && rig_.catalog.calls_of("a.B") != 0; ++i) rig_.advance(seconds(1));
    require(rig_.catalog.calls_of("a.B") == 0, "without a server no call is left");
    guest_.reset();
    rig_.stop();
    for (std::size_t i = 0; i < kResources; ++i)
      require(rig_.vm("web1").quota.used(static_cast<Resource>(i)) == 0, "nothing is charged in the end");
  }

 private:
  std::string path() const { return rig_.directory / "backend.sock"; }

  void settle() {
    rig_.settle();
    for (auto accepted = net::accept(listener_.get()); listener_ && accepted.ok();
         accepted = net::accept(listener_.get())) {
      peers_.push_back(std::make_unique<RawPeer>(std::move(accepted).value()));
      rig_.settle();
    }
    for (const auto& peer : peers_)
      peer->read([&](const wire::Frame& frame) {
        if (frame.header.type == FrameType::kRequest) last_ = frame.header.stream;
      });
    while (guest_ && guest_->pump()) {
    }
  }
  void open() {
    const auto shape = choices_.of(kShapes);
    const auto timeout = milliseconds(choices_.byte() * 100);
    if (!guest_->endpoint().can_open() || guest_->closed()) return;
    streams_.push_back(guest_->start("a.B/C", std::string(choices_.text()), shape, timeout));
    settle();
  }
  void send() {
    const auto choice = choices_.byte();
    if (streams_.empty()) return;
    (void)guest_->try_send(streams_[choice % streams_.size()], std::string(choices_.text()));
    settle();
  }
  void end_one() {
    const auto choice = choices_.byte();
    if (streams_.empty()) return;
    const auto stream = streams_[choice / 2 % streams_.size()];
    choice % 2 == 0 ? guest_->cancel(stream) : guest_->close_send(stream);
    settle();
  }
  // A right answer to Hello, which is the first call of a connection.
  void hello() {
    v1::HelloResponse agreed;
    agreed.set_features(wire::kAllFeatures & ~choices_.number());
    agreed.set_initial_stream_window(static_cast<std::uint32_t>(choices_.number()));
    agreed.set_initial_connection_window(static_cast<std::uint32_t>(choices_.number()));
    const auto payload = agreed.SerializeAsString();
    std::string response(wire::response_size({}, payload.size()), '\0');
    wire::write_response({}, std::string_view(payload), response.data());
    say(hostcall::test::frame(FrameType::kResponse, 1, 0, response));
  }
  void say_frame() {
    const auto type = choices_.of(kTypes);
    const auto stream = stream_id(choices_, last_);
    const auto flags = static_cast<std::uint8_t>(choices_.byte() % 8);
    std::string body;
    if (type == FrameType::kResponse)
      body = response();
    else if (type == FrameType::kData)
      body = choices_.text();
    else
      body = control_body(choices_, type);
    say(hostcall::test::frame(type, stream, flags, body));
  }
  std::string response() {
    const auto choice = choices_.byte();
    if (choice == 0) return std::string(choices_.text());
    const wire::Status status{.code = static_cast<wire::Code>(choice % 20), .message = std::string(choices_.text())};
    const auto payload = choices_.text();
    std::string bytes(wire::response_size(status, payload.size()), '\0');
    wire::write_response(status, payload, bytes.data());
    return bytes;
  }
  void say(const std::string& bytes) {
    const auto choice = choices_.byte();
    if (!peers_.empty()) peers_[peers_.size() - 1 - choice % std::min<std::size_t>(peers_.size(), 4)]->send(bytes);
    settle();
  }

  Choices& choices_;
  daemon::test::Rig rig_;
  daemon::test::ScriptedRunner runner_;
  HostCalls host_calls_;
  // The fuzzer serves the socket in this process.
  const HostCallEnvironment environment_{rig_.reactor, rig_.catalog, runner_, host_calls_, -1};
  RoutedServices routes_{environment_};
  UniqueFd listener_;
  std::vector<std::unique_ptr<RawPeer>> peers_;
  std::unique_ptr<hostcall::test::WireClient> guest_;
  std::vector<std::uint32_t> streams_;
  std::uint32_t last_ = 1;
};

}  // namespace
}  // namespace hostcall::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  using namespace hostcall::fuzz;
  return play<HostServer>(bytes, size, &HostServer::end);
}
