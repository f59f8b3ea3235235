// Invocation: see invocation.h.
#include "client/cli/invocation.h"

#include <algorithm>

#include "client/cli/output.h"
#include "client/cli/schema.h"

namespace hostcall::cli {
namespace {

std::string json_of(const google::protobuf::MessageLite& message) {
  auto json = Schema::built_in().to_json(message.GetTypeName(), message.SerializeAsString(), JsonStyle::kLine);
  if (!json) throw Failure{ExitCode::kUnreachable, "the answer has text that is not UTF-8: " + message.GetTypeName()};
  return *std::move(json);
}

}  // namespace

Invocation::Invocation(std::string program, Common common)
    : program_(std::move(program)),
      common_(std::move(common)),
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
                                     .privileged_port = common_.privileged_port}));
  return *client_;
}

void Invocation::show(const google::protobuf::MessageLite& message, std::string_view text) const {
  if (json())
    print_line(json_of(message));
  else
    print(text);
}

void Invocation::confirm(const google::protobuf::MessageLite& message, std::string_view text) const {
  show(message, quiet() ? std::string_view() : text);
}

}  // namespace hostcall::cli
