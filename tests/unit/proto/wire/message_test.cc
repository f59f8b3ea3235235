// The envelope messages: what is written is read back, and hostile bytes are refused without a step outside of them.
#include "proto/wire/message.h"

#include <gtest/gtest.h>

#include <vector>

#include "tests/support/frames.h"

namespace hostcall::wire {
namespace {

using test::field;

std::string written(const RequestFields& fields, std::string_view payload = {}) {
  std::string bytes(request_size(fields, payload.size()), '?');
  write_request(fields, payload, bytes.data());
  return bytes;
}

std::string written(const Status& status, std::string_view payload = {}) {
  std::string bytes(response_size(status, payload.size()), '?');
  write_response(status, payload, bytes.data());
  return bytes;
}

TEST(Request, RoundTrips) {
  const Metadata metadata[] = {{"a", "1"}, {"b", ""}, {"", ""}, {"a", "2"}};
  const std::string payload(300, 'p');
  const auto bytes =
      written({.service = "s.S", .method = "M", .timeout_nano = 1'500'000'000, .metadata = metadata}, payload);
  const auto request = parse_request(bytes);
  ASSERT_TRUE(request);
  EXPECT_EQ(request->service, "s.S");
  EXPECT_EQ(request->method, "M");
  EXPECT_EQ(request->payload, payload);
  EXPECT_EQ(request->timeout_nano, 1'500'000'000);
  EXPECT_EQ(request->metadata("a"), "1") << "the first of two";
  EXPECT_EQ(request->metadata("b"), "");
  EXPECT_EQ(request->metadata(""), "");
  EXPECT_EQ(request->metadata("c"), std::nullopt);
}

TEST(Request, ViewsPointIntoTheBytes) {
  const auto bytes = written({.service = "s.S", .method = "M"}, "payload");
  const auto payload = parse_request(bytes)->payload;
  EXPECT_GE(payload.data(), bytes.data());
  EXPECT_LE(payload.data() + payload.size(), bytes.data() + bytes.size());
}

TEST(Request, NegativeTimeoutsAndEmptyMessagesSurvive) {
  EXPECT_EQ(parse_request(written({.timeout_nano = -1}))->timeout_nano, -1);
  EXPECT_EQ(parse_request(written({.timeout_nano = INT64_MIN}))->timeout_nano, INT64_MIN);
  EXPECT_EQ(written(RequestFields{}), "");
  EXPECT_TRUE(parse_request(""));
}

TEST(Request, IgnoresFieldsThatItDoesNotKnow) {
  const std::string unknown = field(9, "later") + std::string(
                                                      "\x08\x01\x51"
                                                      "12345678"
                                                      "\x15"
                                                      "1234",
                                                      16);
  const auto bytes = unknown + field(1, "s.S");
  const auto request = parse_request(bytes);
  ASSERT_TRUE(request) << "field 1 as a varint, field 10 fixed64, field 2 fixed32: not ours, not wrong";
  EXPECT_EQ(request->service, "s.S");
  EXPECT_EQ(request->method, "");
}

TEST(Request, TheLastOfARepeatedFieldCounts) {
  EXPECT_EQ(parse_request(field(1, "old") + field(1, "new"))->service, "new");
}

TEST(Request, RefusesWhatIsNoMessage) {
  const std::string bad[] = {
      std::string("\x0a", 1),  // a length is missing
      std::string("\x0a\x05"
                  "abcd",
                  6),                                                       // shorter than its length
      std::string("\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11),      // a length of 2^64-1
      std::string("\x20\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 12),  // a number of 11 bytes
      std::string("\x20\xff", 2),                                           // a number that does not end
      std::string("\x00\x00", 2),                                           // field 0
      std::string("\x0b\x0c", 2),                                           // a group
      std::string("\x0e", 1),                                               // wire type 6
      std::string("\x82\x80\x80\x80\x80\x01"
                  "x",
                  7),  // a field number above 2^29-1
      std::string("\x11"
                  "1234567",
                  8),  // fixed64 of seven bytes
      std::string("\x15"
                  "123",
                  4),  // fixed32 of three bytes
      field(5, std::string("\x0a\x09"
                           "k",
                           3)),  // metadata that is no pair
  };
  for (const auto& bytes : bad) EXPECT_FALSE(parse_request(bytes)) << testing::PrintToString(bytes);
}

// A copy of exact size on the heap, so that AddressSanitizer sees a step outside.
TEST(Request, EveryPrefixIsEitherReadOrRefused) {
  const Metadata metadata[] = {{"key", "value"}};
  const auto bytes = written({.service = "s.S", .method = "M", .timeout_nano = 1 << 20, .metadata = metadata}, "abc");
  int readable = 0;
  for (std::size_t size = 0; size <= bytes.size(); ++size) {
    const std::vector<char> prefix(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size));
    readable += parse_request({prefix.data(), prefix.size()}).has_value();
  }
  EXPECT_EQ(readable, 6) << "before, between and behind five fields";
}

TEST(Response, RoundTrips) {
  const Status status{.code = Code::kNotFound, .message = "no such key", .retry_after = {}};
  const auto refused = written(status);
  const auto response = parse_response(refused);
  EXPECT_EQ(response->code, Code::kNotFound);
  EXPECT_EQ(response->message, "no such key");
  EXPECT_EQ(response->retry_after, Duration::zero());
  const auto bytes = written(Status{}, "answer");
  EXPECT_EQ(parse_response(bytes)->payload, "answer");
  EXPECT_TRUE(parse_response(bytes)->status().ok());
  EXPECT_EQ(written(Status{}), "") << "OK without payload is no bytes at all";
}

TEST(Response, CodesKeepTheirNumber) {
  for (const int code : {0, 1, 16, 17, 1000, -1, INT32_MIN, INT32_MAX})
    EXPECT_EQ(parse_response(written(Status{.code = static_cast<Code>(code)}))->code, static_cast<Code>(code)) << code;
}

TEST(Response, CarriesRetryInfo) {
  for (const Duration delay :
       {Duration(1), Duration(milliseconds(20)), Duration(seconds(3)), Duration(milliseconds(1500))}) {
    const Status status{.code = Code::kResourceExhausted, .message = "slow down", .retry_after = delay};
    EXPECT_EQ(parse_response(written(status))->status().retry_after, delay);
  }
}

std::string response_with_detail(std::string_view type, std::string_view value) {
  return field(1, field(3, field(1, type) + field(2, value)));
}

TEST(Response, TakesRetryInfoOnlyInReasonableForm) {
  constexpr char kType[] = "type.googleapis.com/google.rpc.RetryInfo";
  const auto delay = [&](std::string_view type, std::string_view duration) {
    const auto bytes = response_with_detail(type, field(1, duration));
    const auto response = parse_response(bytes);
    return response ? response->retry_after : Duration(-1);
  };
  EXPECT_EQ(delay(kType, std::string("\x08\x02", 2)), Duration(seconds(2)));
  EXPECT_EQ(delay("type.googleapis.com/other", std::string("\x08\x02", 2)), Duration::zero());
  EXPECT_EQ(delay(kType, "\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), Duration::zero()) << "-1 s";
  EXPECT_EQ(delay(kType, "\x08\xff\xff\xff\xff\x7f"), Duration::zero()) << "a thousand years";
  EXPECT_EQ(delay(kType, "\x10\x80\x94\xeb\xdc\x03"), Duration::zero()) << "10^9 ns belong into the seconds";
  EXPECT_EQ(parse_response(response_with_detail(kType, "\x0a"))->retry_after, Duration::zero()) << "broken";
}

// A status that is passed on keeps every detail as it is, RetryInfo among them, and gets no second one.
TEST(Response, PassesDetailsOnByteForByte) {
  const auto retry = field(3, field(1, "type.googleapis.com/google.rpc.RetryInfo") + field(2, field(1, "\x08\x02")));
  const auto details =
      field(3, field(1, "type.googleapis.com/a.B") + field(2, std::string("\0\xff\x80", 3))) + retry + field(3, "");
  const auto bytes = field(1, std::string("\x08\x05", 2) + field(2, "why") + details);
  const auto response = parse_response(bytes);
  ASSERT_TRUE(response);
  EXPECT_EQ(response->status().details, "");
  const auto whole = response->whole_status();
  EXPECT_EQ(whole.code, Code::kNotFound);
  EXPECT_EQ(whole.message, "why");
  EXPECT_EQ(whole.retry_after, Duration(seconds(2)));
  EXPECT_EQ(whole.details, details);
  EXPECT_EQ(written(whole), bytes);
  EXPECT_EQ(written(Status{.code = Code::kOk, .details = details}, "p"), field(1, details) + field(2, "p"));
}

TEST(Response, DetailsMayComeBetweenOtherFields) {
  const auto bytes = field(1, field(3, field(1, "a")) + std::string("\x08\x05", 2) + field(3, field(1, "b")) +
                                  field(2, "why") + field(9, "unknown"));
  const auto response = parse_response(bytes);
  ASSERT_TRUE(response);
  EXPECT_EQ(response->whole_status().details, field(3, field(1, "a")) + field(3, field(1, "b")));
}

TEST(Request, AllMetadataIsVisitedInOrder) {
  const Metadata metadata[] = {{"a", "1"}, {"b", ""}, {"", ""}, {"a", "2"}};
  const auto bytes = written({.service = "s.S", .method = "M", .metadata = metadata}, "payload");
  std::string visited;
  parse_request(bytes)->for_each_metadata(
      [&](const Metadata& pair) { visited.append(pair.key).append("=").append(pair.value).append(";"); });
  EXPECT_EQ(visited, "a=1;b=;=;a=2;");
}

TEST(Response, RefusesWhatIsNoMessage) {
  EXPECT_FALSE(parse_response(field(1, "\x0a")));
  EXPECT_FALSE(parse_response(field(1, field(3, "\x0a"))));
  EXPECT_FALSE(
      parse_response(std::string("\x12\x05"
                                 "abc",
                                 5)));
}

TEST(Message, FieldsAreCounted) {
  EXPECT_TRUE(has_few_fields("", 0));
  const std::string two = field(1, "abc") + field(2, std::string(100, 'x'));
  EXPECT_TRUE(has_few_fields(two, 2));
  EXPECT_FALSE(has_few_fields(two, 1));
  const std::string numbers("\x08\x01\x08\x02\x0d\x01\x02\x03\x04\x11\x01\x02\x03\x04\x05\x06\x07\x08", 18);
  EXPECT_TRUE(has_few_fields(numbers, 4)) << "repeated ones count each";
  EXPECT_FALSE(has_few_fields(numbers, 3));
  EXPECT_FALSE(has_few_fields("\x0b\x0c", 10)) << "a group";
  EXPECT_FALSE(has_few_fields("\x0a\x05x", 10)) << "cut off";
}

TEST(PayloadWriter, WritesThroughItsFunctionInPlace) {
  const int number = 7;
  const Payload payload(&number, 3, [](const void* source, std::size_t size, char* out) {
    std::memset(out, '0' + *static_cast<const int*>(source), size);
  });
  std::string bytes(request_size({}, payload.size()), '?');
  write_request({}, payload, bytes.data());
  EXPECT_EQ(parse_request(bytes)->payload, "777");
}

TEST(Payload, LiesWhereItsBytesAre) {
  iovec places[3];
  std::string text = "text", more = "more";
  ASSERT_EQ(Payload(std::string_view(text)).locate(places), 1u);
  EXPECT_EQ(places[0].iov_base, text.data());
  const iovec list[] = {{text.data(), 4}, {nullptr, 0}, {more.data(), 4}};
  const Pieces pieces{list, 8};
  const Payload payload(pieces);
  ASSERT_EQ(payload.locate(places), 3u);
  EXPECT_EQ(places[2].iov_base, more.data());
  EXPECT_EQ(payload.locate(std::span(places).first(2)), 0u) << "in more places than these";
  std::string written(payload.size(), ' ');
  payload.write(written.data());
  EXPECT_EQ(written, "textmore");
  EXPECT_EQ(Payload(&text, 4, [](const void*, std::size_t, char*) {}).locate(places), 0u) << "still to be written";
}

}  // namespace
}  // namespace hostcall::wire
