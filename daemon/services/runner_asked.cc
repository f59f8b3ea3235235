#include "daemon/services/runner_asked.h"

namespace hostcall::daemon {

wire::Status status_of(const runner::Failed& failed) {
  const auto code = static_cast<wire::Code>(failed.code());
  const bool is_known = code != wire::Code::kOk && wire::find_code_name(code) != nullptr;
  return {is_known ? code : wire::Code::kUnknown, failed.text(), milliseconds(failed.retry_after_ms())};
}

bool RunnerLink::Program::on_reply(const runner::Reply& reply, std::vector<UniqueFd>) {
  if (reply.has_failed()) {
    fail(status_of(reply.failed()));
  } else if (reply.has_started()) {
    is_running_ = true;
    wait_forever();
    observer_.on_started(reply.started().unit());
  } else if (reply.has_ended()) {
    end();
    observer_.on_ended(
        {.exit_code = reply.ended().exit_code(), .signal = reply.ended().signal(), .reason = reply.ended().reason()});
  } else {
    return false;
  }
  return true;
}

bool RunnerLink::Attempt::on_reply(const runner::Reply& reply, std::vector<UniqueFd> descriptors) {
  if (reply.has_failed()) {
    fail(status_of(reply.failed()));
  } else if (reply.has_connected() && descriptors.size() == 1) {
    end();
    observer_.on_connected(std::move(descriptors.front()));
  } else {
    return false;
  }
  return true;
}

}  // namespace hostcall::daemon
