#include "daemon/services/http_request.h"

#include <gtest/gtest.h>

#include <string>

namespace hostcall::daemon {
namespace {

std::string get(const std::string& headers = "", const std::string& target = "/metrics") {
  return "GET " + target + " HTTP/1.1\r\nHost: x\r\n" + headers + "\r\n";
}

// "200 prometheus", "200 openmetrics", the number of an error, or "more".
std::string outcome_of(const std::string& request) {
  const auto outcome = answer_http(request);
  if (!outcome) return "more";
  auto text = std::string(outcome->status.substr(0, 3));
  if (outcome->ok()) text += outcome->format == MetricsFormat::kOpenMetrics ? " openmetrics" : " prometheus";
  return text;
}

std::string accepting(const std::string& accept) { return outcome_of(get("Accept: " + accept + "\r\n")); }

TEST(HttpRequestTest, WaitsForTheWholeHead) {
  const auto request = get("Accept: */*\r\n");
  for (std::size_t length = 0; length < request.size(); ++length)
    EXPECT_EQ(outcome_of(request.substr(0, length)), "more") << length;
  EXPECT_EQ(outcome_of(request), "200 prometheus");
  EXPECT_EQ(outcome_of(request + "whatever follows\0"), "200 prometheus");
}

TEST(HttpRequestTest, AcceptChoosesTheFormat) {
  EXPECT_EQ(outcome_of(get()), "200 prometheus") << "curl and old scrapers";
  EXPECT_EQ(accepting("*/*"), "200 prometheus");
  EXPECT_EQ(accepting("text/plain"), "200 prometheus");
  EXPECT_EQ(accepting("text/html, text/*;q=0.1"), "200 prometheus");
  EXPECT_EQ(accepting("application/openmetrics-text"), "200 openmetrics");
  EXPECT_EQ(accepting("Application/OpenMetrics-Text; Version=1.0.0"), "200 openmetrics");
  // Prometheus 2.42 and 3.
  EXPECT_EQ(accepting("application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
                      "text/plain;version=0.0.4;q=0.5,*/*;q=0.1"),
            "200 openmetrics");
  EXPECT_EQ(accepting("application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
                      "text/plain;version=0.0.4;q=0.3,*/*;q=0.2"),
            "200 openmetrics");
  EXPECT_EQ(accepting("application/openmetrics-text;q=0.2, text/plain;q=0.3"), "200 prometheus");
  EXPECT_EQ(accepting("application/openmetrics-text;version=2.0.0, text/plain;version=0.0.4;q=0.001"),
            "200 prometheus");
}

TEST(HttpRequestTest, WhatItCannotGiveIsNotAcceptable) {
  for (const auto* accept : {"application/json", "text/html", "application/openmetrics-text;version=2.0.0", "*/*;q=0",
                             "text/plain;q=x", "text/plain;version=1.0.0", ""})
    EXPECT_EQ(accepting(accept), "406") << accept;
}

TEST(HttpRequestTest, OnlyMetricsAreServedAndOnlyByGet) {
  EXPECT_EQ(outcome_of(get("", "/metrics?x=1")), "200 prometheus");
  for (const auto* target : {"/", "/metrics/", "/metricsx", "*", "http://x/metrics"})
    EXPECT_EQ(outcome_of(get("", target)), "404") << target;
  for (const auto* method : {"POST", "HEAD", "get", "CONNECT"})
    EXPECT_EQ(outcome_of(std::string(method) + " /metrics HTTP/1.1\r\n\r\n"), "405") << method;
}

TEST(HttpRequestTest, WhatIsNoRequestIsTold) {
  for (const auto* request :
       {"\r\n\r\n", "GET\r\n\r\n", "GET /metrics\r\n\r\n", "GET /metrics HTTP/2\r\n\r\n",
        "GET  /metrics HTTP/1.1\r\n\r\n", "GET /metrics HTTP/1.1 \r\n\r\n", "GET /metrics HTTP/1.1\r\nno colon\r\n\r\n",
        "GET /metrics HTTP/1.1\r\n: x\r\n\r\n", "GET /metrics HTTP/1.1\r\nHost : x\r\n\r\n", "GET /metr\x01"})
    EXPECT_EQ(outcome_of(request), "400") << request;
  EXPECT_EQ(outcome_of(std::string("GET \0", 5)), "400") << "at once, without the rest";
  EXPECT_EQ(outcome_of("GET /\xff"), "400");
}

TEST(HttpRequestTest, AHeadIsBounded) {
  const auto request = get("A: \r\n");
  const auto longest = get("A: " + std::string(kMaxHttpHead - request.size(), 'a') + "\r\n");
  ASSERT_EQ(longest.size(), kMaxHttpHead);
  EXPECT_EQ(outcome_of(longest), "200 prometheus");
  EXPECT_EQ(outcome_of(get("A: " + std::string(kMaxHttpHead, 'a'))), "431");
  EXPECT_EQ(outcome_of(std::string(kMaxHttpHead - 1, 'a')), "more");
  EXPECT_EQ(outcome_of(std::string(kMaxHttpHead, 'a')), "431");
}

TEST(HttpRequestTest, RepliesSayWhatTheyAre) {
  EXPECT_EQ(http_reply({.status = "200 OK", .format = MetricsFormat::kOpenMetrics}),
            "HTTP/1.1 200 OK\r\nContent-Type: application/openmetrics-text; version=1.0.0; charset=utf-8\r\n"
            "Cache-Control: no-store\r\nConnection: close\r\n\r\n");
  const auto refused = http_reply(*answer_http("POST / HTTP/1.1\r\n\r\n"));
  EXPECT_NE(refused.find("\r\nAllow: GET\r\n"), std::string::npos) << refused;
  EXPECT_TRUE(refused.ends_with("\r\n\r\nonly GET is served\n")) << refused;
}

}  // namespace
}  // namespace hostcall::daemon
