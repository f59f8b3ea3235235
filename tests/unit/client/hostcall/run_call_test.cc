// One program of the host: what relay_call_test.cc does not show of it.
#include "client/hostcall/run_call.h"

#include "tests/unit/client/hostcall/call_fixture.h"

namespace hostcall::cli::guest {
namespace {

class RunCallTest : public CallFixture {
 protected:
  RunCallTest() : CallFixture(test::extended_script()) {}

  std::unique_ptr<RunCall> make_open() {
    v1::StartRequest request;
    request.set_service("program");
    request.add_arguments("one");
    auto call = std::make_unique<RunCall>(
        client_, request, RunCall::Ends{{local_.get(), "in"}, {local_.get(), "out"}, {local_.get(), "err"}},
        CallOptions{.timeout = kNoTimeout}, outcome_);
    EXPECT_TRUE(run_until(*call, [&] { return has_call() && !seen().messages.empty(); }));
    answer({});
    EXPECT_TRUE(run_until(*call, [&] { return call->is_open(); }));
    return call;
  }
  void answer(const v1::StartResponse& response) {
    ASSERT_EQ(host_.connection().send(seen(), response.SerializeAsString()), wire::SendOutcome::kSent);
  }
  v1::StartRequest request(std::size_t number) {
    v1::StartRequest request;
    EXPECT_TRUE(request.ParseFromString(seen().messages.at(number)));
    return request;
  }

  std::optional<v1::Ended> outcome_;
};

TEST_F(RunCallTest, SaysServiceAndArgumentsOnce) {
  const auto call = make_open();
  say("input");
  ::shutdown(peer_.get(), SHUT_WR);
  ASSERT_TRUE(run_until(*call, [&] { return seen().messages.size() == 3; }));
  EXPECT_EQ(request(0).service(), "program");
  EXPECT_EQ(request(0).arguments(0), "one");
  EXPECT_EQ(request(1).service(), "");
  EXPECT_EQ(request(1).arguments_size(), 0);
  EXPECT_EQ(request(1).stdin_data(), "input");
  EXPECT_FALSE(request(1).stdin_eof());
  EXPECT_TRUE(request(2).stdin_eof());
}

TEST_F(RunCallTest, TheOutcomeComesAfterAllOutput) {
  const auto call = make_open();
  v1::StartResponse response;
  response.set_stdout_data("out");
  response.set_stderr_data("err");
  response.mutable_ended()->set_exit_code(3);
  answer(response);
  host_.connection().close_stream(seen());
  ASSERT_TRUE(run_until(*call, [&] { return call->ended(); }));
  EXPECT_EQ(heard(), "outerr");
  ASSERT_TRUE(outcome_);
  EXPECT_EQ(outcome_->exit_code(), 3U);
  EXPECT_TRUE(call->status().ok());
}

TEST_F(RunCallTest, ItsDestructorCancelsWhatKillsTheProgram) {
  auto call = make_open();
  call.reset();
  client_.wait(milliseconds(0));
  host_.serve();
  EXPECT_EQ(seen().cancels.size(), 1U);
}

}  // namespace
}  // namespace hostcall::cli::guest
