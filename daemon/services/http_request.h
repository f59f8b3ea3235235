// HttpRequest: as much of HTTP/1.1 as a scraper of metrics needs: the head of one request without a body.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "daemon/services/metrics_text.h"

namespace hostcall::daemon {

// The most bytes of a head.
inline constexpr std::size_t kMaxHttpHead = 8 * 1024;

// What a request gets.
struct HttpOutcome {
  std::string_view status;                            // "200 OK"
  std::string_view text = {};                         // of an error
  std::string_view more_header = {};                  // with its line end
  MetricsFormat format = MetricsFormat::kPrometheus;  // if it is 200

  bool ok() const { return text.empty(); }
};

// Nothing: the head is not complete yet.
std::optional<HttpOutcome> answer_http(std::string_view received);

// The whole reply to a request that gets an error; else its head.
std::string http_reply(const HttpOutcome& outcome);

}  // namespace hostcall::daemon
