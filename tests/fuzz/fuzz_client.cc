// Fuzzes the client library's engine against a host that knows the frames and keeps no rules. Whatever the host does,
// each call ends once, by its deadline at the latest, with a text of bounded length, and all that the client writes is
// well-formed.
//
// Input: commands; see Script::step.
#include <unistd.h>

#include <memory>
#include <vector>

#include "client/lib/channel.h"
#include "hostcall/v1/session.pb.h"
#include "tests/fuzz/messages.h"
#include "tests/fuzz/raw_peer.h"

namespace hostcall::fuzz {
namespace {

using client::Call;
using client::Channel;
using wire::FrameType;

constexpr std::size_t kMaxText = 9 * 1024;  // 8 KiB of the host's, and what the client says about it
constexpr Duration kLongestDeadline = seconds(30);
const std::vector<std::string> kWords = {"", "web1", "e1", std::string(300, 'n'), "\xff", "\x1b[0m"};

std::string response_of(Choices& choices, std::string_view payload) {
  const wire::Status status{.code = static_cast<wire::Code>(choices.byte() % 32 > 16 ? choices.number() : 0),
                            .message = std::string(choices.text()),
                            .retry_after = milliseconds(choices.byte())};
  std::string message(wire::response_size(status, payload.size()), '\0');
  wire::write_response(status, payload, message.data());
  return message;
}

// What an honest host answers to Hello, or anything of the same type.
std::string agreement_of(Choices& choices) {
  constexpr std::uint8_t kHonestBelow = 0xA0;
  if (choices.byte() >= kHonestBelow)
    return MessageMaker(choices, kWords).make(*find_method("hostcall.v1.Session", "Hello")->output_type());
  v1::HelloResponse response;
  response.set_features(choices.byte() % 2 == 0 ? wire::kAllFeatures : choices.byte());
  response.set_initial_stream_window(choices.byte() + 1u);
  response.set_initial_connection_window(64 * 1024);
  response.set_heartbeat_interval_ms(choices.byte() * 100u);
  response.set_max_message_bytes(static_cast<std::uint32_t>(choices.number()));
  return response.SerializeAsString();
}

struct Connection {
  explicit Connection(UniqueFd fd) : peer(std::move(fd)) {}
  RawPeer peer;
  std::uint32_t hello = 0;
  std::vector<std::uint32_t> calls;
};

class HostileHost {
 public:
  HostileHost() : address_(fresh_address()) { listen(true); }

  const net::Address& address() const { return address_; }
  void listen(bool on) {
    listener_.reset();
    if (on) listener_ = net::listen(address_).value();
  }
  // Accepts, and takes note of what clients ask.
  void look() {
    while (listener_) {
      auto fd = net::accept(listener_.get());
      if (!fd.ok()) break;
      connections_.push_back(std::make_unique<Connection>(std::move(*fd)));
    }
    for (auto& connection : connections_)
      connection->peer.read([&](const wire::Frame& frame) { note(*connection, frame); });
    std::erase_if(connections_, [](const auto& connection) { return !connection->peer.open(); });
  }
  // Null: there is none.
  Connection* pick(Choices& choices) {
    return connections_.empty() ? nullptr : connections_[choices.byte() % connections_.size()].get();
  }

 private:
  static net::Address fresh_address() {
    return net::Address::parse("unix:@hostcall-fuzz-" + std::to_string(::getpid())).value();
  }
  static void note(Connection& connection, const wire::Frame& frame) {
    if (frame.header.type != FrameType::kRequest) return;
    const auto request = wire::parse_request(frame.data);
    require(request.has_value(), "a client's requests are readable");
    if (request->method == "Hello")
      connection.hello = frame.header.stream;
    else
      connection.calls.push_back(frame.header.stream);
  }

  const net::Address address_;
  UniqueFd listener_;
  std::vector<std::unique_ptr<Connection>> connections_;
};

// A call, and what its user does when it is told of an event.
class User final : public client::CallObserver {
 public:
  enum class Reaction : std::uint8_t { kNone, kTake, kCancel };

  User(Choices& choices, TimePoint now)
      : reaction_(static_cast<Reaction>(choices.byte() % 3)), payload_(choices.byte() * 64u, 'p') {
    constexpr Duration kTimes[] = {kLongestDeadline, seconds(1), milliseconds(1), Duration::zero()};
    call.spec.service = "a.B";
    call.spec.method = "C";
    call.spec.shape = static_cast<wire::Shape>(choices.byte() % 4);
    call.spec.payload = std::string_view(payload_);
    call.spec.deadline = now + choices.of(kTimes);
    call.spec.wait_for_ready = choices.byte() % 2 != 0;
  }
  void on_call_events(Call&, unsigned events) override {
    if ((events & client::kClosed) != 0) require(!std::exchange(closed_, true), "a call ends once");
    if (call.channel == nullptr) return;
    if (reaction_ == Reaction::kTake) call.channel->drop_inbox(call);
    if (reaction_ == Reaction::kCancel) call.channel->cancel(call);
  }
  void check_end() const {
    require(call.ended() && closed_, "a call ends, and its user is told");
    require(result_.status.message.size() <= kMaxText, "texts are bounded");
    require(result_.status.ok() || result_.payload.view().empty(), "what has failed has no answer");
  }

 private:
  client::CallResult result_;
  bool closed_ = false;
  Reaction reaction_;
  std::string payload_;

 public:
  Call call{result_, this};
};

class Script {
 public:
  explicit Script(Choices& choices) : choices_(choices) {
    client::ChannelOptions options;
    options.address = host_.address();
    options.client_name = "fuzz";
    const auto form = choices.byte();
    options.max_unread_bytes = (form & 1) != 0 ? 1'000 : 1u << 20;
    options.max_queued_calls = (form & 2) != 0 ? 2 : 1024;
    // The last ids of a connection.
    if ((form & 4) != 0) options.first_stream = UINT32_MAX - 6;
    channel_ = std::make_unique<Channel>(std::move(options));
  }
  ~Script() { users_.clear(); }

  void step() {
    const auto command = choices_.byte();
    if (command % 16 < 8)
      act_as_user(command % 16);
    else
      act_as_host(command % 16);
    turn();
  }
  // No call outlives its deadline.
  void end() {
    pass(kLongestDeadline + seconds(1));
    turn();
    for (const auto& user : users_) user->check_end();
    channel_->close(now_);
    turn();
  }

 private:
  // The host looks first, so that answers find their calls.
  void turn() {
    host_.look();
    channel_->process(now_);
    host_.look();
  }
  void pass(Duration time) { now_ += time; }

  void act_as_user(int command) {
    constexpr std::size_t kMaxUsers = 64;
    constexpr Duration kTimes[] = {milliseconds(1), milliseconds(100), seconds(1), seconds(6), seconds(61)};
    if (command <= 1 && users_.size() < kMaxUsers) {
      users_.push_back(std::make_unique<User>(choices_, now_));
      return channel_->begin(users_.back()->call, now_);
    }
    if (command == 7) return pass(choices_.of(kTimes));
    if (users_.empty()) return;
    const auto at = users_.begin() + choices_.byte() % static_cast<std::ptrdiff_t>(users_.size());
    auto& call = (*at)->call;
    switch (command) {
      case 2: return channel_->cancel(call);
      case 3: return (void)users_.erase(at);
      case 4: return send(call);
      case 5: return channel_->close_send(call);
      default: return call.inbox.empty() ? void() : (void)channel_->take(call);
    }
  }
  void send(Call& call) {
    if (!wire::client_streams(call.spec.shape)) return;
    const std::string message(choices_.byte() * 16u, 'm');
    (void)channel_->send(call, std::string_view(message));
  }

  void act_as_host(int command) {
    if (command == 8) return host_.listen(choices_.byte() % 2 != 0);
    auto* connection = host_.pick(choices_);
    if (connection == nullptr) return;
    auto& peer = connection->peer;
    switch (command) {
      case 9:
      case 10: return answer(peer, stream_id(choices_, connection->hello), true);
      case 11: return answer(peer, call_id(*connection), false);
      case 12: return send_data(*connection);
      case 13: return send_control(*connection);
      case 14: return peer.send(choices_.text());
      default: return peer.close();
    }
  }
  std::uint32_t call_id(const Connection& connection) {
    return stream_id(choices_, connection.calls.empty() ? 1 : choices_.of(connection.calls));
  }
  // Choices are made one after the other, not as arguments, whose order is the compiler's.
  void answer(RawPeer& peer, std::uint32_t stream, bool to_hello) {
    const auto payload = to_hello ? agreement_of(choices_) : std::string(choices_.text());
    peer.send_frame(FrameType::kResponse, stream, 0, response_of(choices_, payload));
  }
  void send_data(Connection& connection) {
    const auto flags = static_cast<std::uint8_t>(choices_.byte() % 8);
    const auto stream = call_id(connection);
    connection.peer.send_frame(FrameType::kData, stream, flags, std::string(choices_.byte() * 32u, 'd'));
  }
  void send_control(Connection& connection) {
    const auto type = choices_.of(kControls);
    const bool of_call = type == FrameType::kCancel || (type == FrameType::kWindow && choices_.byte() % 2 != 0);
    const auto stream = of_call ? call_id(connection) : stream_id(choices_, 0);
    connection.peer.send_frame(type, stream, 0, control_body(choices_, type));
  }

  Choices& choices_;
  HostileHost host_;
  TimePoint now_{std::chrono::hours(1)};
  std::unique_ptr<Channel> channel_;
  std::vector<std::unique_ptr<User>> users_;
};

}  // namespace
}  // namespace hostcall::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  return hostcall::fuzz::play(bytes, size, &hostcall::fuzz::Script::end);
}
