// One relay: the bytes and ends of both directions, and that neither side is read ahead of the other.
#include "client/hostcall/relay_call.h"

#include "tests/unit/client/hostcall/call_fixture.h"

namespace hostcall::cli::guest {
namespace {

using test::HostConnection;
using test::SeenCall;

std::string response(std::string_view data, bool eof = false) {
  v1::OpenResponse message;
  message.set_data(data.data(), data.size());
  message.set_eof(eof);
  return message.SerializeAsString();
}

class RelayCallTest : public CallFixture {
 protected:
  RelayCallTest() : CallFixture(test::extended_script()) {}

  std::unique_ptr<RelayCall> make() {
    return std::make_unique<RelayCall>(client_, "agent", Ends{{local_.get(), "read"}, {local_.get(), "write"}},
                                       CallOptions{.timeout = kNoTimeout});
  }
  // Up to the host's first answer.
  std::unique_ptr<RelayCall> make_open() {
    auto call = make();
    EXPECT_TRUE(run_until(*call, [&] { return has_call() && !seen().messages.empty(); }));
    answer(response({}));
    EXPECT_TRUE(run_until(*call, [&] { return call->is_open(); }));
    return call;
  }
  void answer(const std::string& message) {
    ASSERT_EQ(host_.connection().send(seen(), message), wire::SendOutcome::kSent);
  }
  // The bytes that the host has got; "END" behind them if that is all.
  std::string received() {
    std::string all;
    for (const auto& message : seen().messages) {
      v1::OpenRequest request;
      EXPECT_TRUE(request.ParseFromString(message));
      all += request.data();
      if (request.eof()) all += "END";
    }
    return all;
  }
};

TEST_F(RelayCallTest, NamesTheServiceAndReadsNothingBeforeItIsOpen) {
  say("early");
  const auto call = make();
  ASSERT_TRUE(run_until(*call, [&] { return has_call() && !seen().messages.empty(); }));
  settle(*call);
  v1::OpenRequest request;
  ASSERT_TRUE(request.ParseFromString(seen().messages.front()));
  EXPECT_EQ(request.service(), "agent");
  EXPECT_EQ(received(), "");
  EXPECT_FALSE(call->is_open());
  answer(response("greeting"));
  EXPECT_TRUE(run_until(*call, [&] { return received() == "early" && heard() == "greeting"; }));
  EXPECT_TRUE(call->is_open());
  EXPECT_EQ(seen().timeout_nano, 0) << "a relay has no deadline unless it is given";
}

TEST_F(RelayCallTest, TheClientsEndIsPassedOnAndTheServiceGoesOn) {
  const auto call = make_open();
  say("request");
  ::shutdown(peer_.get(), SHUT_WR);
  ASSERT_TRUE(run_until(*call, [&] { return received() == "requestEND"; }));
  EXPECT_FALSE(call->ended());
  answer(response("reply"));
  answer(response("", true));
  ASSERT_TRUE(run_until(*call, [&] { return heard() == "replyEND"; }));
  host_.connection().close_stream(seen());
  ASSERT_TRUE(run_until(*call, [&] { return call->ended(); }));
  EXPECT_TRUE(call->status().ok());
}

TEST_F(RelayCallTest, TheServicesEndIsPassedOnAndTheClientGoesOn) {
  const auto call = make_open();
  answer(response("bye", true));
  ASSERT_TRUE(run_until(*call, [&] { return heard() == "byeEND"; }));
  say("still here");
  ASSERT_TRUE(run_until(*call, [&] { return received() == "still here"; }));
  EXPECT_FALSE(call->ended());
}

TEST_F(RelayCallTest, ARefusalIsTheStatus) {
  const auto call = make();
  ASSERT_TRUE(run_until(*call, [&] { return has_call(); }));
  host_.connection().respond(seen(), {wire::Code::kNotFound, "no such service", {}});
  ASSERT_TRUE(run_until(*call, [&] { return call->ended(); }));
  EXPECT_FALSE(call->is_open());
  EXPECT_EQ(call->status().code, Code::kNotFound);
  EXPECT_EQ(service_failure(call->status()).code, ExitCode::kNoSuchMethod);
}

// The stream's window bounds what the host can send, and the call takes one message more than the peer reads.
TEST_F(RelayCallTest, APeerThatDoesNotReadHoldsTheHostBack) {
  const auto call = make_open();
  const std::string message = response(std::string(60'000, 'x'));
  std::size_t sent = 0;
  for (int i = 0; i < 200; ++i) {
    if (host_.connection().send(seen(), message) == wire::SendOutcome::kSent) ++sent;
    settle(*call);
    if (sent < static_cast<std::size_t>(i) / 2) break;
  }
  EXPECT_LT(sent, 60U) << "window and socket buffers hold less than that";
  std::size_t bytes = 0;
  ASSERT_TRUE(run_until(*call, [&] {
    bytes = heard().size();
    return bytes == sent * 60'000;
  })) << bytes;
  EXPECT_TRUE(run_until(*call, [&] { return host_.connection().send(seen(), message) == wire::SendOutcome::kSent; }))
      << "and then it goes on";
}

TEST_F(RelayCallTest, AHostThatDoesNotReadHoldsThePeerBack) {
  const auto call = make_open();
  host_.connection().pause_reading = true;
  const std::string piece(16 * 1024, 'y');
  std::size_t sent = 0;
  for (int idle = 0; idle < 3;) {
    const auto some = ::send(peer_.get(), piece.data(), piece.size(), MSG_NOSIGNAL);
    if (some > 0) sent += static_cast<std::size_t>(some);
    idle = some > 0 ? 0 : idle + 1;
    settle(*call);
    ASSERT_LT(sent, 4U << 20) << "it is read ahead of the window";
  }
  host_.connection().pause_reading = false;
  EXPECT_TRUE(run_until(*call, [&] { return received().size() == sent; }));
}

TEST_F(RelayCallTest, APieceFitsIntoTheHostsLargestMessage) {
  host_.script.agreement.set_max_message_bytes(4096);
  const auto call = make_open();
  say(std::string(20'000, 'z'));
  ASSERT_TRUE(run_until(*call, [&] { return received().size() == 20'000; }));
  for (const auto& message : seen().messages) EXPECT_LE(message.size(), 4096U);
}

TEST_F(RelayCallTest, APeerThatGoesIsAnError) {
  const auto call = make_open();
  peer_.reset();
  answer(response("for nobody"));
  ASSERT_TRUE(run_until(*call, [&] { return error_.has_value(); }));
  EXPECT_EQ(error_->code, EPIPE);
}

TEST_F(RelayCallTest, ALostConnectionEndsItAfterWhatHasCome) {
  const auto call = make_open();
  answer(response("last words"));
  host_.serve();
  host_.connection().close();
  ASSERT_TRUE(run_until(*call, [&] { return call->ended(); }));
  EXPECT_EQ(heard(), "last words") << "no end: the service has not said one";
  EXPECT_EQ(call->status().code, Code::kUnavailable);
}

TEST_F(RelayCallTest, ItsDestructorCancels) {
  auto call = make_open();
  call.reset();
  client_.wait(milliseconds(0));
  host_.serve();
  EXPECT_EQ(seen().cancels.size(), 1U);
}

}  // namespace
}  // namespace hostcall::cli::guest
