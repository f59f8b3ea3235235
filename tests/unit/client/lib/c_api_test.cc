// hostcall.h as its users call it: arguments, blocking calls and streams.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <hostcall/hostcall.h>

#include <cstdint>
#include <cstdlib>

#include "proto/wire/status.h"
#include "tests/unit/client/lib/c_api_fixture.h"

namespace hostcall::test {
namespace {

using testing::HasSubstr;

// ---------------------------------------------------------------- arguments

TEST(CApiCodes, NamesAreTheProtocols) {
  for (int code = 0; code <= HOSTCALL_UNAUTHENTICATED; ++code)
    EXPECT_EQ(hostcall_code_name(code), wire::code_name(static_cast<wire::Code>(code)));
  EXPECT_STREQ(hostcall_code_name(17), "UNKNOWN_CODE");
  EXPECT_STREQ(hostcall_code_name(HOSTCALL_STREAM_END), "UNKNOWN_CODE");
  EXPECT_STREQ(hostcall_version(), HOSTCALL_VERSION);
}

TEST_F(CApi, NullHandlesAreRefusedNotUsed) {
  std::size_t size = 5;
  const void* data = nullptr;
  std::uint64_t id = 0;
  hostcall_stream* stream = nullptr;
  hostcall_session session{};
  session.size = sizeof session;
  const auto callback = [](void*, const hostcall_result*) { FAIL(); };
  EXPECT_EQ(hostcall_client_new(nullptr, nullptr, result_), HOSTCALL_INVALID_ARGUMENT);
  EXPECT_EQ(hostcall_connect(nullptr, nullptr, result_), HOSTCALL_INVALID_ARGUMENT);
  EXPECT_EQ(hostcall_call(nullptr, "a/B", text(""), nullptr, result_), HOSTCALL_INVALID_ARGUMENT);
  EXPECT_EQ(hostcall_result_code(result_), HOSTCALL_INVALID_ARGUMENT);
  EXPECT_EQ(hostcall_start(nullptr, "a/B", text(""), nullptr, callback, nullptr, &id), HOSTCALL_INVALID_ARGUMENT);
  EXPECT_EQ(hostcall_cancel(nullptr, 1), HOSTCALL_INVALID_ARGUMENT);
  EXPECT_EQ(hostcall_get_session(nullptr, &session), HOSTCALL_INVALID_ARGUMENT);
  EXPECT_EQ(hostcall_stream_open(nullptr, "a/B", 1, text(""), nullptr, &stream, result_), HOSTCALL_INVALID_ARGUMENT);
  EXPECT_EQ(hostcall_stream_send(nullptr, text("")), HOSTCALL_INVALID_ARGUMENT);
  EXPECT_EQ(hostcall_stream_try_send(nullptr, text("")), HOSTCALL_INVALID_ARGUMENT);
  EXPECT_EQ(hostcall_stream_recv(nullptr, &data, &size), HOSTCALL_INVALID_ARGUMENT);
  EXPECT_EQ(hostcall_stream_try_recv(nullptr, &data, &size), HOSTCALL_INVALID_ARGUMENT);
  EXPECT_EQ(hostcall_stream_close_send(nullptr), HOSTCALL_INVALID_ARGUMENT);
  EXPECT_EQ(hostcall_stream_finish(nullptr, result_), HOSTCALL_INVALID_ARGUMENT);
  EXPECT_EQ(hostcall_stream_set_callback(nullptr, nullptr, nullptr), HOSTCALL_INVALID_ARGUMENT);
  EXPECT_EQ(hostcall_process(nullptr), HOSTCALL_INVALID_ARGUMENT);
  EXPECT_EQ(hostcall_wait(nullptr, 0), HOSTCALL_INVALID_ARGUMENT);
  EXPECT_EQ(hostcall_fd(nullptr), -1);
  EXPECT_EQ(hostcall_watch(nullptr, 0, 0), HOSTCALL_INVALID_ARGUMENT);
  EXPECT_EQ(hostcall_timeout_ms(nullptr), -1);
  EXPECT_EQ(hostcall_due_ns(nullptr), INT64_MAX);
  EXPECT_EQ(hostcall_result_code(nullptr), HOSTCALL_OK);
  EXPECT_STREQ(hostcall_result_message(nullptr), "");
  EXPECT_EQ(hostcall_result_payload(nullptr, &size), nullptr);
  EXPECT_EQ(size, 0u);
  hostcall_stream_cancel(nullptr);
  hostcall_stream_free(nullptr);
  hostcall_client_free(nullptr);
  hostcall_result_free(nullptr);
}

TEST_F(CApi, BadOptionsAreRefusedWithAText) {
  const auto refused = [&](void (*change)(hostcall_options&)) {
    hostcall_options options{};
    options.size = sizeof options;
    options.address = "unix:/nowhere";
    change(options);
    hostcall_client* client = nullptr;
    EXPECT_EQ(hostcall_client_new(&options, &client, result_), HOSTCALL_INVALID_ARGUMENT);
    EXPECT_EQ(client, nullptr);
    return message();
  };
  EXPECT_THAT(refused([](hostcall_options& o) { o.address = "tcp:host"; }), HasSubstr("unknown kind"));
  EXPECT_THAT(refused([](hostcall_options& o) { o.address = "vsock::18499"; }), HasSubstr("needs a CID"));
  EXPECT_THAT(refused([](hostcall_options& o) { o.client_name = "line\nbreak"; }), HasSubstr("printable"));
  EXPECT_THAT(refused([](hostcall_options& o) { o.size = 0; }), HasSubstr("size"));
  EXPECT_THAT(refused([](hostcall_options& o) { o.privileged_port = 1; }), HasSubstr("unix:/nowhere has no ports"));
  EXPECT_THAT(refused([](hostcall_options& o) {
                o.address = "vsock:2:18499";
                o.privileged_port = 1;
                o.source_port = 700;
              }),
              HasSubstr("exclude each other"));
  EXPECT_THAT(refused([](hostcall_options& o) { o.busy_poll_usec = 1001; }), HasSubstr("busy_poll_usec: at most 1000"));
}

TEST_F(CApi, APrivilegedPortIsAskedForOnVsock) {
  hostcall_options options{};
  options.size = sizeof options;
  options.address = "vsock:2:18499";
  options.privileged_port = 1;
  EXPECT_EQ(hostcall_client_new(&options, &client_, result_), HOSTCALL_OK) << "connects to nothing yet";
}

TEST_F(CApi, OptionsOfOtherVersionsAreRead) {
  struct Newer {
    hostcall_options known;
    std::uint64_t added;
  } newer{};
  newer.known.size = sizeof newer;
  newer.known.address = "unix:/nowhere";
  const auto* options = reinterpret_cast<const hostcall_options*>(&newer);
  ASSERT_EQ(hostcall_client_new(options, &client_, result_), HOSTCALL_OK) << "nothing new is asked for";
  hostcall_client_free(std::exchange(client_, nullptr));
  newer.added = 1;
  EXPECT_EQ(hostcall_client_new(options, &client_, result_), HOSTCALL_INVALID_ARGUMENT);

  hostcall_options older{};
  older.size = offsetof(hostcall_options, client_name);
  older.address = "unix:/nowhere";
  older.client_name = "bad\nname";  // beyond what that version knew: not read
  EXPECT_EQ(hostcall_client_new(&older, &client_, result_), HOSTCALL_OK);
}

TEST_F(CApi, TheEnvironmentNamesTheDefaultAddress) {
  ::setenv("HOSTCALL_ADDRESS", "unix:/nowhere/at/all", 1);
  ASSERT_EQ(hostcall_client_new(nullptr, &client_, result_), HOSTCALL_OK);
  ::unsetenv("HOSTCALL_ADDRESS");
  EXPECT_EQ(call("a.B/C", ""), HOSTCALL_UNAVAILABLE);
  EXPECT_THAT(message(), HasSubstr("unix:/nowhere/at/all"));
}

TEST_F(CApi, BadCallsAreRefused) {
  make("unix:/nowhere");
  for (const char* method : {"", "NoSlash", "/Method", "Service/", static_cast<const char*>(nullptr)})
    EXPECT_EQ(call(method, ""), HOSTCALL_INVALID_ARGUMENT);
  EXPECT_EQ(hostcall_call(client_, "a/B", hostcall_bytes(nullptr, 1), nullptr, result_), HOSTCALL_INVALID_ARGUMENT);
  EXPECT_EQ(call(("a/" + std::string(600, 'x')).c_str(), ""), HOSTCALL_INVALID_ARGUMENT);
  hostcall_stream* stream = nullptr;
  for (const int shape : {0, 4, -1})
    EXPECT_EQ(hostcall_stream_open(client_, "a/B", shape, text(""), nullptr, &stream, result_),
              HOSTCALL_INVALID_ARGUMENT);
  EXPECT_EQ(hostcall_stream_open(client_, "a/B", HOSTCALL_BIDI_STREAM, text("x"), nullptr, &stream, result_),
            HOSTCALL_INVALID_ARGUMENT);
  EXPECT_EQ(hostcall_start(client_, "a/B", text(""), nullptr, nullptr, nullptr, nullptr), HOSTCALL_INVALID_ARGUMENT);
}

// ---------------------------------------------------------------- unary

TEST_F(CApi, CallsAndTellsTheSession) {
  start();
  hostcall_session session{};
  session.size = sizeof session;
  EXPECT_EQ(hostcall_get_session(client_, &session), HOSTCALL_UNAVAILABLE);
  ASSERT_EQ(hostcall_connect(client_, nullptr, result_), HOSTCALL_OK) << message();
  ASSERT_EQ(hostcall_get_session(client_, &session), HOSTCALL_OK);
  EXPECT_STREQ(session.vm_name, "web1");
  EXPECT_STREQ(session.daemon_version, "9.9");
  EXPECT_EQ(session.session_id, 7u);
  EXPECT_EQ(session.max_message_bytes, 256u * 1024);
  for (int i = 0; i < 100; ++i) {
    ASSERT_EQ(call("t.T/Echo", "payload " + std::to_string(i)), HOSTCALL_OK) << message();
    EXPECT_EQ(payload(), "payload " + std::to_string(i));
  }
  EXPECT_EQ(hostcall_call(client_, "t.T/Echo", text("x"), nullptr, nullptr), HOSTCALL_OK) << "no result is fine";
}

TEST_F(CApi, LargePayloadsGoBothWays) {
  start();
  const std::string large(200 * 1024, 'L');
  ASSERT_EQ(call("t.T/Echo", large), HOSTCALL_OK) << message();
  EXPECT_EQ(payload(), large);
}

TEST_F(CApi, AnErrorHasItsParts) {
  start();
  EXPECT_EQ(call("t.T/Fail", ""), HOSTCALL_ABORTED);
  EXPECT_EQ(hostcall_result_code(result_), HOSTCALL_ABORTED);
  EXPECT_EQ(message(), "as asked");
  EXPECT_EQ(hostcall_result_retry_after_ms(result_), 1500u);
  EXPECT_EQ(hostcall_result_outcome_unknown(result_), 0);
  EXPECT_EQ(payload(), "");
}

TEST_F(CApi, DeadlineAndLossSayWhatIsUnknown) {
  start();
  // A busy machine may let a short deadline pass before the call is sent; then its outcome is known.
  std::uint32_t timeout_ms = 30;
  do {
    EXPECT_EQ(call("t.T/Hang", "", timeout_ms), HOSTCALL_DEADLINE_EXCEEDED);
    timeout_ms *= 10;
  } while (hostcall_result_outcome_unknown(result_) == 0 && timeout_ms < 60'000);
  EXPECT_EQ(hostcall_result_outcome_unknown(result_), 1);
  EXPECT_EQ(call("t.T/Drop", ""), HOSTCALL_UNAVAILABLE);
  EXPECT_EQ(hostcall_result_outcome_unknown(result_), 1);
  EXPECT_EQ(call("t.T/Echo", "back"), HOSTCALL_OK) << "on a new connection: " << message();
}

TEST_F(CApi, BusyPollingChangesNothingButTime) {
  start(serving_script(), [](hostcall_options& o) { o.busy_poll_usec = 1000; });
  for (int i = 0; i < 100; ++i) {
    ASSERT_EQ(call("t.T/Echo", "payload " + std::to_string(i)), HOSTCALL_OK) << message();
    EXPECT_EQ(payload(), "payload " + std::to_string(i));
  }
  EXPECT_EQ(call("t.T/Hang", "", 30), HOSTCALL_DEADLINE_EXCEEDED) << "it also sleeps";
  EXPECT_EQ(call("t.T/Drop", ""), HOSTCALL_UNAVAILABLE);
  EXPECT_EQ(call("t.T/Echo", "back"), HOSTCALL_OK) << "on a new connection: " << message();
}

TEST_F(CApi, APayloadWritesItselfInPlace) {
  start();
  const int value = 7;
  const hostcall_payload written{&value, 3, [](const void* source, std::size_t size, char* out) {
                                   for (std::size_t i = 0; i < size; ++i)
                                     out[i] = static_cast<char>('0' + *static_cast<const int*>(source));
                                 }};
  ASSERT_EQ(hostcall_call(client_, "t.T/Echo", written, nullptr, result_), HOSTCALL_OK);
  EXPECT_EQ(payload(), "777");
}

// ---------------------------------------------------------------- streams

TEST_F(CApi, StreamsOfThreeShapes) {
  start();
  auto* echo = open("t.T/EchoStream", HOSTCALL_BIDI_STREAM);
  for (const char* message : {"a", "", "ccc"}) {
    EXPECT_EQ(hostcall_stream_send(echo, text(message)), HOSTCALL_OK);
    EXPECT_EQ(received(echo, hostcall_stream_recv), message);
  }
  EXPECT_EQ(received(echo, hostcall_stream_try_recv), "code " + std::to_string(HOSTCALL_WOULD_BLOCK));
  EXPECT_EQ(hostcall_stream_close_send(echo), HOSTCALL_OK);
  EXPECT_EQ(hostcall_stream_close_send(echo), HOSTCALL_OK);
  EXPECT_EQ(received(echo, hostcall_stream_recv), "code " + std::to_string(HOSTCALL_STREAM_END));
  EXPECT_EQ(hostcall_stream_finish(echo, result_), HOSTCALL_OK);
  EXPECT_EQ(hostcall_stream_finish(echo, nullptr), HOSTCALL_OK) << "may be repeated";

  auto* sink = open("t.T/Sink", HOSTCALL_CLIENT_STREAM);
  for (int i = 0; i < 500; ++i) ASSERT_EQ(hostcall_stream_send(sink, text(std::string(2000, 's'))), HOSTCALL_OK);
  EXPECT_EQ(hostcall_stream_finish(sink, result_), HOSTCALL_OK);
  EXPECT_EQ(payload(), "\x10\xF4\x03") << "SinkResponse{messages: 500}";
  EXPECT_EQ(hostcall_stream_send(sink, text("late")), HOSTCALL_STREAM_END);

  auto* source = open("t.T/Source", HOSTCALL_SERVER_STREAM);
  EXPECT_EQ(hostcall_stream_send(source, text("x")), HOSTCALL_FAILED_PRECONDITION);
  EXPECT_EQ(received(source, hostcall_stream_recv), std::string("\n\x01") + "0");
  EXPECT_EQ(hostcall_stream_finish(source, result_), HOSTCALL_OK) << "drops the nine others";
  EXPECT_EQ(received(source, hostcall_stream_recv), "code " + std::to_string(HOSTCALL_STREAM_END));
  for (auto* stream : {echo, sink, source}) hostcall_stream_free(stream);
}

TEST_F(CApi, SendsAMessageThatLiesInPieces) {
  start();
  auto* echo = open("t.T/EchoStream", HOSTCALL_BIDI_STREAM);
  std::string head = "head ", body(100'000, 'b');
  const iovec pieces[] = {{head.data(), head.size()}, {nullptr, 0}, {body.data(), body.size()}};
  for (const auto send : {hostcall_stream_sendv, hostcall_stream_try_sendv}) {
    EXPECT_EQ(send(echo, pieces, 3), HOSTCALL_OK);
    EXPECT_EQ(received(echo, hostcall_stream_recv), head + body);
    EXPECT_EQ(send(echo, pieces, 1), HOSTCALL_OK);
    EXPECT_EQ(received(echo, hostcall_stream_recv), head);
    EXPECT_EQ(send(echo, nullptr, 0), HOSTCALL_OK);
    EXPECT_EQ(received(echo, hostcall_stream_recv), "");
    EXPECT_EQ(send(nullptr, pieces, 3), HOSTCALL_INVALID_ARGUMENT);
    EXPECT_EQ(send(echo, nullptr, 1), HOSTCALL_INVALID_ARGUMENT);
    const iovec nowhere{nullptr, 1};
    EXPECT_EQ(send(echo, &nowhere, 1), HOSTCALL_INVALID_ARGUMENT);
    const iovec many[HOSTCALL_MAX_PIECES + 1]{};
    EXPECT_EQ(send(echo, many, HOSTCALL_MAX_PIECES + 1), HOSTCALL_INVALID_ARGUMENT);
  }
  hostcall_stream_free(echo);
}

TEST_F(CApi, AMessageThatIsTooLargeEndsTheStream) {
  start();
  auto* sink = open("t.T/Sink", HOSTCALL_CLIENT_STREAM);
  EXPECT_EQ(hostcall_stream_send(sink, text(std::string(300 * 1024, 'x'))), HOSTCALL_STREAM_END);
  EXPECT_EQ(hostcall_stream_finish(sink, result_), HOSTCALL_RESOURCE_EXHAUSTED);
  hostcall_stream_free(sink);
}

// The result of a failed read(2), taken as a size, is the largest of all.
TEST_F(CApi, AHugeSizeIsTooLargeAndItsBytesAreNotRead) {
  start();
  char byte = 'x';
  const auto callback = [](void*, const hostcall_result*) { ADD_FAILURE() << "the call was refused"; };
  for (const bool connected : {false, true}) {
    if (connected) {
      ASSERT_EQ(hostcall_connect(client_, nullptr, result_), HOSTCALL_OK) << message();
    }
    for (const std::size_t size : {SIZE_MAX, SIZE_MAX - 31, SIZE_MAX - 255, std::size_t{5} << 20}) {
      const auto huge = hostcall_bytes(&byte, size);
      EXPECT_EQ(hostcall_call(client_, "t.T/Echo", huge, nullptr, result_), HOSTCALL_RESOURCE_EXHAUSTED) << size;
      EXPECT_THAT(message(), HasSubstr("bytes is over the host's limit"));
      EXPECT_EQ(hostcall_start(client_, "t.T/Echo", huge, nullptr, callback, nullptr, nullptr),
                HOSTCALL_RESOURCE_EXHAUSTED);
      hostcall_stream* stream = nullptr;
      EXPECT_EQ(hostcall_stream_open(client_, "t.T/Source", HOSTCALL_SERVER_STREAM, huge, nullptr, &stream, result_),
                HOSTCALL_RESOURCE_EXHAUSTED);
      EXPECT_EQ(stream, nullptr);
      auto* sink = open("t.T/Sink", HOSTCALL_CLIENT_STREAM);
      EXPECT_EQ(hostcall_stream_send(sink, huge), HOSTCALL_STREAM_END);
      EXPECT_EQ(hostcall_stream_finish(sink, result_), HOSTCALL_RESOURCE_EXHAUSTED);
      hostcall_stream_free(sink);
    }
  }
  EXPECT_EQ(call("t.T/Echo", "still well"), HOSTCALL_OK) << message();
}

TEST_F(CApi, PiecesThatAreHugeTogetherAreTooLarge) {
  start();
  char bytes[100];
  for (const std::size_t size : {SIZE_MAX, SIZE_MAX - 99, SIZE_MAX - 100, SIZE_MAX / 2 + 1}) {
    const iovec pieces[] = {{bytes, 100}, {bytes, size}, {bytes, size}};
    for (const auto send : {hostcall_stream_sendv, hostcall_stream_try_sendv}) {
      ASSERT_EQ(hostcall_connect(client_, nullptr, result_), HOSTCALL_OK) << message();
      auto* sink = open("t.T/Sink", HOSTCALL_CLIENT_STREAM);
      EXPECT_EQ(send(sink, pieces, 3), HOSTCALL_STREAM_END) << size;
      EXPECT_EQ(hostcall_stream_finish(sink, result_), HOSTCALL_RESOURCE_EXHAUSTED);
      hostcall_stream_free(sink);
    }
  }
}

TEST_F(CApi, CancellingAStreamEndsIt) {
  start();
  auto* stream = open("t.T/Hang", HOSTCALL_SERVER_STREAM);
  hostcall_stream_cancel(stream);
  EXPECT_EQ(received(stream, hostcall_stream_recv), "code " + std::to_string(HOSTCALL_STREAM_END));
  EXPECT_EQ(hostcall_stream_finish(stream, result_), HOSTCALL_CANCELLED);
  hostcall_stream_free(stream);
}

TEST_F(CApi, AStreamOutlivesItsClient) {
  start();
  auto* stream = open("t.T/Source", HOSTCALL_SERVER_STREAM);
  EXPECT_EQ(received(stream, hostcall_stream_recv), std::string("\n\x01") + "0");
  hostcall_client_free(std::exchange(client_, nullptr));
  int left = 0;
  while (received(stream, hostcall_stream_recv).starts_with('\n')) ++left;
  EXPECT_LE(left, 9) << "what had come is still there";
  EXPECT_EQ(hostcall_stream_send(stream, text("x")), HOSTCALL_STREAM_END);
  EXPECT_EQ(hostcall_stream_try_send(stream, text("x")), HOSTCALL_STREAM_END);
  hostcall_stream_finish(stream, result_);
  hostcall_stream_set_callback(stream, nullptr, nullptr);
  hostcall_stream_free(stream);
}

}  // namespace
}  // namespace hostcall::test
