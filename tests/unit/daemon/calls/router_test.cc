// The router: typed registration, look-up, and that nothing is forgotten.
#include "daemon/calls/router.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "hostcall/v1/diagnostics.hostcall.h"
#include "hostcall/v1/session.hostcall.h"

namespace hostcall::daemon {
namespace {

namespace Session = v1::Session;

class NoSession final : public SessionFacts {
 public:
  std::uint64_t session_id() const override { return 1; }
  const std::string& boot_id() const override { return boot_id_; }
  std::size_t list_allowed(v1::ListServicesResponse&) const override { return 0; }
  Status authorize(std::span<const Ask> calls, std::size_t) override {
    return calls.front().resource == "denied" ? Status{Code::kPermissionDenied, "denied"} : Status{};
  }
  Status authorize_message(std::span<const Ask> calls) override { return authorize(calls, 0); }
  const Rule* allowed_by() const override { return nullptr; }
  bool may(const Ask& ask, std::size_t&) const override { return ask.resource != "denied"; }
  std::size_t max_reply_bytes() const override { return 4096; }
  void spend(Units) override {}
  Share& share() override { return share_; }

 private:
  Share share_;
  const std::string boot_id_;
};

Status echo(const CallContext&, const v1::PingRequest& request, v1::PingResponse& response) {
  if (request.payload() == "no") return {Code::kNotFound, "no"};
  response.set_payload(request.payload());
  return {};
}

Answer start(Method& method, const std::string& payload, Handler& handler) {
  const Caller caller;
  NoSession session;
  const CallContext context{caller, session, {}, kNever, 1024};
  return method.start(context, payload, handler);
}

Answer start(Method& method, const std::string& payload) {
  Handler handler;
  auto answer = start(method, payload, handler);
  EXPECT_EQ(handler, nullptr) << "answered at once";
  return answer;
}

std::string reply_payload(const Answer& answer) {
  std::string bytes(answer.reply.size(), '\0');
  answer.reply.write(bytes.data());
  v1::PingResponse response;
  EXPECT_TRUE(response.ParseFromString(bytes));
  return response.payload();
}

TEST(Router, AHandlerMayMoveWhatIsInTheRequest) {
  Router router;
  router.unary<Session::Ping>(Audience::kGuest,
                              [](const CallContext&, v1::PingRequest& request, v1::PingResponse& response) -> Status {
                                response.mutable_payload()->swap(*request.mutable_payload());
                                return {};
                              });
  v1::PingRequest request;
  for (const auto* payload : {"first, and long enough for the heap", "second", ""}) {
    request.set_payload(payload);
    EXPECT_EQ(reply_payload(start(*router.find("hostcall.v1.Session/Ping"), request.SerializeAsString())), payload);
  }
}

// Two bytes would be enough for a field that takes a hundred times as much in memory.
TEST(Router, AMessageHasOnlySoManyFields) {
  v1::ListServicesResponse message;
  for (std::size_t i = 0; i < kMaxFields; ++i) message.add_methods();
  v1::ListServicesResponse read;
  EXPECT_TRUE(parse_message(message.SerializeAsString(), read));
  EXPECT_EQ(read.methods_size(), static_cast<int>(kMaxFields));
  message.add_methods();
  EXPECT_FALSE(parse_message(message.SerializeAsString(), read));
  EXPECT_THAT(unparseable("a.B/C").message,
              testing::HasSubstr("a.B/C: it is malformed, or has a text that is not UTF-8, or more than 1024"));
  v1::PingRequest large;
  large.set_payload(std::string(1'000'000, 'p'));
  v1::PingRequest read_large;
  EXPECT_TRUE(parse_message(large.SerializeAsString(), read_large));
}

TEST(Router, FindsWhatIsRegistered) {
  Router router;
  router.unary<Session::Ping>(Audience::kGuest, echo);
  auto* method = router.find("hostcall.v1.Session", "Ping");
  ASSERT_NE(method, nullptr);
  EXPECT_EQ(router.find("hostcall.v1.Session/Ping"), method);
  EXPECT_EQ(method->name, "hostcall.v1.Session/Ping");
  EXPECT_EQ(method->shape, wire::Shape::kUnary);
  EXPECT_EQ(router.find("hostcall.v1.Session", "Ping"), method) << "found before";
  EXPECT_EQ(router.find("hostcall.v1.Session", "Pong"), nullptr);
  EXPECT_EQ(router.find("hostcall.v1.Sessio", "Ping"), nullptr);
  EXPECT_EQ(router.find("hostcall.v1.Session"), nullptr);
  EXPECT_EQ(router.find(""), nullptr);
}

TEST(Router, TellsWhatRulesCanName) {
  Router router;
  router.unary<Session::Ping>(Audience::kGuest, echo);
  router.unary_of<Session::Ping>(
      Audience::kAdmin, [](const v1::PingRequest& request) -> std::string_view { return request.payload(); }, echo);
  const auto known = router.known_methods();
  ASSERT_EQ(known.size(), 2u);
  EXPECT_EQ(known[0].name, "hostcall.v1.Session/Ping");
  EXPECT_TRUE(known[0].for_guests);
  EXPECT_FALSE(known[0].has_resource);
  EXPECT_FALSE(known[1].for_guests);
  EXPECT_TRUE(known[1].has_resource);
}

TEST(Router, AForgottenMethodIsABug) {
  Router router;
  router.unary<Session::Ping>(Audience::kGuest, echo);
  EXPECT_THROW(router.check_complete(Session::kAllMethods), std::logic_error);
}

TEST(UnaryMethod, SetsAHandlerOnlyForWhatTakesTime) {
  Router router;
  router.unary<Session::Ping>(
      Audience::kGuest,
      [](const CallContext&, const v1::PingRequest& request, v1::PingResponse&, Handler& handler) -> Status {
        if (request.payload() == "later") handler = std::make_unique<CallHandler>();
        return {};
      });
  auto& method = *router.find("hostcall.v1.Session", "Ping");
  v1::PingRequest request;
  EXPECT_TRUE(start(method, request.SerializeAsString()).status.ok());
  Handler handler;
  request.set_payload("later");
  start(method, request.SerializeAsString(), handler);
  EXPECT_NE(handler, nullptr);
}

TEST(UnaryMethod, ParsesAnswersAndForgets) {
  Router router;
  router.unary<Session::Ping>(Audience::kGuest, echo);
  auto& method = *router.find("hostcall.v1.Session/Ping");
  v1::PingRequest request;
  request.set_payload("hello");
  auto started = start(method, request.SerializeAsString());
  ASSERT_TRUE(started.status.ok());
  EXPECT_EQ(reply_payload(started), "hello");
  // The message is used again: nothing of the last call may be left in it.
  started = start(method, "");
  ASSERT_TRUE(started.status.ok());
  EXPECT_EQ(reply_payload(started), "");
  request.set_payload("no");
  EXPECT_EQ(start(method, request.SerializeAsString()).status.code, Code::kNotFound);
  EXPECT_EQ(start(method, "\xff\xff\xff").status.code, Code::kInvalidArgument);
}

TEST(UnaryMethod, AsksPolicyForTheResourceBeforeItRuns) {
  Router router;
  int runs = 0;
  router.unary_of<Session::Ping>(
      Audience::kGuest, [](const v1::PingRequest& request) -> std::string_view { return request.payload(); },
      [&](const CallContext&, const v1::PingRequest&, v1::PingResponse&) -> Status {
        ++runs;
        return {};
      });
  auto& method = *router.find("hostcall.v1.Session/Ping");
  EXPECT_TRUE(method.has_resource());
  v1::PingRequest request;
  request.set_payload("allowed");
  EXPECT_TRUE(start(method, request.SerializeAsString()).status.ok());
  request.set_payload("denied");
  EXPECT_EQ(start(method, request.SerializeAsString()).status.code, Code::kPermissionDenied);
  EXPECT_EQ(runs, 1);
}

TEST(ParseMessage, BoundsNesting) {
  // A group within a group within …: unknown fields that a careless parser follows down the stack.
  v1::PingRequest request;
  EXPECT_FALSE(parse_message(std::string(100, '\x13'), request));
  EXPECT_TRUE(parse_message(std::string(10, '\x13') + std::string(10, '\x14'), request));
  EXPECT_FALSE(parse_message(std::string(101, '\x13') + std::string(101, '\x14'), request));
}

TEST(ShapeOf, FollowsTheProto) {
  EXPECT_EQ(shape_of<v1::Diagnostics::Echo>(), wire::Shape::kUnary);
  EXPECT_EQ(shape_of<v1::Diagnostics::Source>(), wire::Shape::kServerStream);
  EXPECT_EQ(shape_of<v1::Diagnostics::Sink>(), wire::Shape::kClientStream);
  EXPECT_EQ(shape_of<v1::Diagnostics::EchoStream>(), wire::Shape::kBidiStream);
}

}  // namespace
}  // namespace hostcall::daemon
