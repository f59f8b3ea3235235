// An endpoint that another one goes on from, at any byte of a connection: nobody can tell it from one that stayed.
#include <gtest/gtest.h>

#include <memory>
#include <random>

#include "tests/support/frames.h"
#include "tests/support/seed.h"
#include "tests/support/wire_peer.h"

namespace hostcall::wire {
namespace {

using test::Pair;
using test::Peer;
using test::take_output;
constexpr RequestFields kCall{.service = "a.B", .method = "C"};

EndpointOptions server_options() { return {.role = EndpointOptions::Role::kServer, .max_message_bytes = 5'000}; }

// A server that answers what it gets, and may be replaced between two bytes.
class Server {
 public:
  Server() { begin(); }

  void enable(const Extension& extension) { endpoint().enable(extension); }
  void receive(std::string_view bytes) {
    ASSERT_TRUE(endpoint().receive(bytes)) << endpoint().violation()->text;
    output += take_output(endpoint());
    endpoint().output_drained();
  }
  // As another process would go on with it.
  void replace() {
    const auto state = endpoint().state();
    const std::string incomplete(endpoint().incomplete());
    auto log = std::move(peer_->events.log);
    begin();
    peer_->events.log = std::move(log);
    ASSERT_TRUE(endpoint().resume_from(state));
    receive(incomplete);
  }
  const std::vector<std::string>& log() const { return peer_->events.log; }
  Endpoint& endpoint() { return peer_->endpoint; }
  std::string output;

 private:
  void begin() {
    peer_ = std::make_unique<Peer>(server_options());
    peer_->events.react = [this](std::string_view event, Stream* stream) { react(event, stream); };
  }
  void react(std::string_view event, Stream* stream) {
    if (event == "data") {
      // Half of what comes is consumed late, so that streams differ in what they owe.
      const auto cost = stream->unconsumed - kDataFrameCost;
      if (stream->id() % 4 == 1) endpoint().consumed(*stream, static_cast<std::size_t>(cost));
      (void)endpoint().send_data(*stream, Payload("echo"));
    }
    if (event == "closed") endpoint().close_stream(*stream);
    if (event == "refused") endpoint().respond(*stream, {Code::kResourceExhausted, "too large"});
    if (event == "cancel") endpoint().forget(*stream);
    if (event == "request" && !stream->remote_open) endpoint().respond(*stream, {}, Payload("reply"));
  }
  std::unique_ptr<Peer> peer_;
};

// What a client says: calls of all shapes, messages of all sizes, some too large, cancels and pings.
std::string random_input(std::mt19937& random, const Extension& extension) {
  Peer client({.role = EndpointOptions::Role::kClient});
  if (extension.features != 0) client.endpoint.enable(extension);
  const std::string letters(8'000, 'x');
  std::vector<std::uint32_t> open;
  std::string input;
  for (int i = 0; i < 60; ++i) {
    const auto text = std::string_view(letters).substr(0, random() % 8 == 0 ? random() % 8'000 : random() % 50);
    auto* stream = open.empty() ? nullptr : client.endpoint.find(open[random() % open.size()]);
    switch (random() % 6) {
      case 0: client.endpoint.open(kCall, Payload(text), Shape::kUnary); break;
      case 1: open.push_back(client.endpoint.open(kCall, {}, Shape::kBidiStream).id()); break;
      case 2: client.endpoint.send_ping(random()); break;
      case 3:
        if (stream != nullptr) client.endpoint.close_send(*stream);
        break;
      case 4:
        if (stream != nullptr && random() % 3 == 0 && client.endpoint.has(kFeatureCancel))
          client.endpoint.cancel(*stream, Code::kCancelled);
        break;
      default:
        if (stream != nullptr) (void)client.endpoint.send_data(*stream, Payload(text));
    }
    input += take_output(client.endpoint);
    client.endpoint.output_drained();
  }
  return input;
}

void feed(Server& server, const Extension& extension, std::string_view input, std::mt19937& random, bool replaces) {
  if (extension.features != 0) server.enable(extension);
  while (!input.empty()) {
    const auto bytes = std::min<std::size_t>(input.size(), 1 + random() % (random() % 4 == 0 ? 3'000 : 20));
    server.receive(input.substr(0, bytes));
    input.remove_prefix(bytes);
    if (replaces) server.replace();
    if (testing::Test::HasFatalFailure()) return;
  }
}

TEST(EndpointResume, NobodyNoticesAtAnyByte) {
  std::mt19937 random(test::seed(4711));
  for (const std::uint64_t features :
       {std::uint64_t{0}, std::uint64_t{kAllFeatures}, kAllFeatures & ~std::uint64_t{kFeatureCrc32c}})
    for (int round = 0; round < 40; ++round) {
      const Extension extension{.features = features, .stream_window = 20'000, .connection_window = 60'000};
      const auto input = random_input(random, extension);
      Server stays, moves;
      feed(stays, extension, input, random, false);
      feed(moves, extension, input, random, true);
      ASSERT_FALSE(testing::Test::HasFatalFailure());
      ASSERT_EQ(moves.log(), stays.log());
      ASSERT_EQ(moves.output, stays.output);
      ASSERT_EQ(moves.endpoint().open_streams(), stays.endpoint().open_streams());
    }
}

TEST(EndpointResume, AFrameThatIsSkippedGoesOnBeingSkipped) {
  Server server;
  const auto frame = test::request(1, 0, std::string(9'000, 'x'));
  for (const char byte : frame) {
    server.receive({&byte, 1});
    server.replace();
  }
  EXPECT_EQ(server.log(), std::vector<std::string>{"refused 1 too large, type 1"});
}

TEST(EndpointResume, RefusesAStateThatNoEndpointCanHave) {
  const auto refuses = [](auto change) {
    Peer peer(server_options());
    EndpointState state{.extension = {.features = kAllFeatures, .stream_window = 10, .connection_window = 10}};
    state.streams.push_back({.id = 1, .remote_open = true});
    change(state);
    return !peer.endpoint.resume_from(state);
  };
  EXPECT_FALSE(refuses([](EndpointState&) {}));
  EXPECT_TRUE(refuses([](EndpointState& state) { state.extension.stream_window = 0; }));
  EXPECT_TRUE(refuses([](EndpointState& state) { state.send_credit = kMaxCredit + 1; }));
  EXPECT_TRUE(refuses([](EndpointState& state) { state.receive.owed = -1; }));
  EXPECT_TRUE(refuses([](EndpointState& state) { state.next_local = 2; }));
  EXPECT_TRUE(refuses([](EndpointState& state) { state.streams[0].id = 2; }));
  EXPECT_TRUE(refuses([](EndpointState& state) { state.streams[0].kept = 1; }));
  EXPECT_TRUE(refuses([](EndpointState& state) { state.streams.push_back(state.streams[0]); }));
}

}  // namespace
}  // namespace hostcall::wire
