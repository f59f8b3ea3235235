#include "daemon/services/http_request.h"

#include <algorithm>
#include <cctype>

namespace hostcall::daemon {
namespace {

constexpr std::string_view kLineEnd = "\r\n";
constexpr std::string_view kHeadEnd = "\r\n\r\n";

constexpr HttpOutcome kBad{.status = "400 Bad Request", .text = "this is no HTTP/1.1 request\n"};
constexpr HttpOutcome kNotFound{.status = "404 Not Found", .text = "the metrics are at /metrics\n"};
constexpr HttpOutcome kNotAllowed{
    .status = "405 Method Not Allowed", .text = "only GET is served\n", .more_header = "Allow: GET\r\n"};
constexpr HttpOutcome kNotAcceptable{
    .status = "406 Not Acceptable",
    .text = "the metrics are text/plain; version=0.0.4, or application/openmetrics-text; version=1.0.0\n"};
constexpr HttpOutcome kTooLarge{.status = "431 Request Header Fields Too Large",
                                .text = "a request has at most 8 KiB\n"};

// Takes the text up to the separator, or all.
std::string_view take(std::string_view& text, std::string_view separator) {
  const auto at = std::min(text.find(separator), text.size());
  const auto taken = text.substr(0, at);
  text.remove_prefix(std::min(at + separator.size(), text.size()));
  return taken;
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

bool is_same_word(std::string_view text, std::string_view lower_case) {
  return std::ranges::equal(text, lower_case, [](unsigned char a, char b) { return std::tolower(a) == b; });
}

// In thousandths; out of bounds or no number: 0.
int quality_of(std::string_view text) {
  if (text.empty() || (text[0] != '0' && text[0] != '1')) return 0;
  int quality = text[0] - '0';
  for (std::size_t i = 2; i < 5; ++i) {
    const bool has_digit = i < text.size() && text[1] == '.' && text[i] >= '0' && text[i] <= '9';
    quality = quality * 10 + (has_digit ? text[i] - '0' : 0);
  }
  return std::min(quality, 1000);
}

struct Acceptance {
  int prometheus = 0, open_metrics = 0;
};

// One media range of Accept.
void accept(std::string_view range, Acceptance& accepted) {
  const auto type = trimmed(take(range, ";"));
  int quality = 1000;
  std::string_view version;
  while (!range.empty()) {
    auto value = trimmed(take(range, ";"));
    const auto name = trimmed(take(value, "="));
    if (is_same_word(name, "q")) quality = quality_of(trimmed(value));
    if (is_same_word(name, "version")) version = trimmed(value);
  }
  if (is_same_word(type, "application/openmetrics-text") && (version.empty() || version == "1.0.0"))
    accepted.open_metrics = std::max(accepted.open_metrics, quality);
  if ((is_same_word(type, "text/plain") && (version.empty() || version == "0.0.4")) || type == "*/*" ||
      is_same_word(type, "text/*"))
    accepted.prometheus = std::max(accepted.prometheus, quality);
}

bool is_text(char c) { return c == '\t' || c == '\r' || c == '\n' || (c >= ' ' && c != '\x7f'); }

// Without a header Accept, anything is acceptable.
HttpOutcome choose(std::string_view headers) {
  Acceptance accepted;
  bool is_asked = false;
  while (!headers.empty()) {
    auto value = take(headers, kLineEnd);
    if (value.find(':') == std::string_view::npos) return kBad;
    const auto name = take(value, ":");
    if (name.empty() || trimmed(name) != name) return kBad;
    if (!is_same_word(name, "accept")) continue;
    is_asked = true;
    while (!value.empty()) accept(take(value, ","), accepted);
  }
  constexpr HttpOutcome kFound{.status = "200 OK"};
  if (!is_asked) return kFound;
  if (accepted.open_metrics == 0 && accepted.prometheus == 0) return kNotAcceptable;
  auto found = kFound;
  if (accepted.open_metrics >= accepted.prometheus) found.format = MetricsFormat::kOpenMetrics;
  return found;
}

}  // namespace

std::optional<HttpOutcome> answer_http(std::string_view received) {
  const auto end = received.substr(0, kMaxHttpHead).find(kHeadEnd);
  const auto head = received.substr(0, std::min(end, kMaxHttpHead));
  // A byte that no head has is told at once.
  if (!std::ranges::all_of(head, is_text)) return kBad;
  if (end == std::string_view::npos) return received.size() < kMaxHttpHead ? std::nullopt : std::optional(kTooLarge);
  auto headers = head;
  auto line = take(headers, kLineEnd);
  const auto method = take(line, " "), target = take(line, " ");
  if (method.empty() || target.empty() || !(line == "HTTP/1.1" || line == "HTTP/1.0")) return kBad;
  if (method != "GET") return kNotAllowed;
  if (target.substr(0, target.find('?')) != "/metrics") return kNotFound;
  return choose(headers);
}

std::string http_reply(const HttpOutcome& outcome) {
  std::string_view type = "text/plain; charset=utf-8";
  if (outcome.ok())
    type = outcome.format == MetricsFormat::kOpenMetrics ? "application/openmetrics-text; version=1.0.0; charset=utf-8"
                                                         : "text/plain; version=0.0.4; charset=utf-8";
  std::string reply = "HTTP/1.1 ";
  reply.append(outcome.status).append("\r\nContent-Type: ").append(type).append("\r\n").append(outcome.more_header);
  return reply.append("Cache-Control: no-store\r\nConnection: close\r\n\r\n").append(outcome.text);
}

}  // namespace hostcall::daemon
