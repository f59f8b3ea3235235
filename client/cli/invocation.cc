// Invocation: see invocation.h.
#include "client/cli/invocation.h"

#include <algorithm>

#include "client/cli/output.h"
#include "client/cli/schema.h"

namespace hostcall::cli {

// Between attempts where the host did not say when the next can succeed.
constexpr milliseconds kAtOnce{1};
constexpr milliseconds kFirstPause{100};
constexpr milliseconds kLongestPause{1000};

std::string json_of(const google::protobuf::MessageLite& message) {
  auto json = Schema::built_in().to_json(message.GetTypeName(), message.SerializeAsString(), JsonStyle::kLine);
  if (!json) throw Failure{ExitCode::kUnreachable, "the answer has text that is not UTF-8: " + message.GetTypeName()};
  return *std::move(json);
}

Invocation::Invocation(std::string program, Common common)
    : program_(std::move(program)),
      common_(std::move(common)),
      unhinted_pause_(kFirstPause),
      deadline_(deadline_after(Clock::now(), common_.timeout.value_or(kDefaultTimeout))) {}

CallOptions Invocation::rest() const {
  const auto left = std::chrono::ceil<milliseconds>(deadline_ - Clock::now());
  return {.timeout = std::max(left, milliseconds(1)), .wait_for_ready = common_.wait};
}

Client& Invocation::client() {
  if (!client_)
    client_ = value_of(Client::make({.address = common_.address,
                                     .client_name = program_,
                                     .client_version = HOSTCALL_VERSION,
                                     .max_unread_bytes = unread_bytes_,
                                     .privileged_port = common_.privileged_port}));
  return *client_;
}

Status Invocation::try_connect() {
  return patiently([this](const CallOptions& options) { return client().connect(options); });
}

void Invocation::connect() {
  if (const auto status = try_connect(); !status.ok()) throw failure_of(status);
}

Status Invocation::with_hint(Status status) {
  const bool never_sent = status.code == Code::kDeadlineExceeded && !status.outcome_unknown && !client().session();
  if (never_sent && refused_) return *refused_;
  status = hinted(std::move(status));
  refused_ = passes(status) ? std::optional(status) : std::nullopt;
  return status;
}

Status Invocation::hinted(Status status) {
  if (status.code != Code::kResourceExhausted || passes(status) || client().session()) return status;
  // The library refuses messages that are too large, too: with a connection, the next attempt tells.
  const auto connected = client().connect(rest());
  if (connected.ok()) {
    status.retry_after = kAtOnce;
    return status;
  }
  if (passes(connected)) return connected;
  status.retry_after = unhinted_pause_;
  unhinted_pause_ = std::min(2 * unhinted_pause_, kLongestPause);
  return status;
}

void Invocation::wait(Duration time) {
  const auto until = Clock::now() + time;
  for (auto now = Clock::now(); now < until; now = Clock::now())
    client().wait(std::chrono::ceil<milliseconds>(until - now));
}

void Invocation::show(const google::protobuf::MessageLite& message, std::string_view text) const {
  if (json())
    print_line(json_of(message));
  else
    print(text);
}

void Invocation::confirm(const google::protobuf::MessageLite& message, std::string_view text) const {
  if (quiet() && !json()) return;
  try {
    show(message, text);
  } catch (const Failure& failure) {
    throw Failure{failure.code, "the command succeeded, but its result could not be printed: " + failure.text};
  }
}

}  // namespace hostcall::cli
