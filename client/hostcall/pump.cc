// Pump: see pump.h.
#include "client/hostcall/pump.h"

#include <algorithm>

#include "client/cli/duration.h"
#include "client/cli/text.h"
#include "client/cli/wait.h"
#include "proto/base/escape.h"

namespace hostcall::cli::guest {
namespace {

constexpr std::size_t kMaxServiceName = 64;

}  // namespace

Failure service_failure(const Status& status) {
  auto failure = failure_of(status);
  if (status.code == Code::kNotFound)
    failure.code = ExitCode::kNoSuchMethod;
  else if (status.code == Code::kInvalidArgument)
    failure.code = ExitCode::kDenied;
  else if (failure.code == ExitCode::kNegative || failure.code == ExitCode::kDone)
    failure.code = ExitCode::kUnreachable;
  return failure;
}

// As the host does, which answers malformed names and arguments that a service does not take alike.
void check_service_name(const std::string& name) {
  if (name.empty()) throw usage("the service's name is empty");
  const auto is_plain = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
  const auto fits = [&](char c) { return is_plain(c) || c == '_' || c == '.' || c == '-'; };
  if (name.size() > kMaxServiceName || !is_plain(name.front()) || !std::ranges::all_of(name, fits))
    throw usage(in_quotes(name) +
                " is not a service's name: [a-z0-9][a-z0-9_.-]{0,63}; a server's methods are called instead");
}

Pump::Pump(Invocation& invocation)
    : invocation_(invocation), opens_until_(invocation.deadline()), buffer_(kPieceBytes) {
  invocation.last();
}

Status Pump::run(const Make& make) {
  const auto call = open(make);
  while (!call->ended()) turn(call.get(), kNever);
  return call->status();
}

std::unique_ptr<PumpedCall> Pump::open(const Make& make) {
  for (;;) {
    auto call = make(invocation_.rest());
    while (!call->is_open() && !call->ended()) {
      if (Clock::now() >= opens_until_ && !invocation_.common().timeout)
        throw Failure{ExitCode::kDeadline, "DEADLINE_EXCEEDED: the host did not take the call within " +
                                               exact_duration(kDefaultTimeout) + " (--timeout)"};
      turn(call.get(), opens_until_);
    }
    if (call->is_open()) return call;
    const auto status = invocation_.with_hint(call->status());
    const auto again = deadline_after(Clock::now(), status.retry_after);
    if (!passes(status) || again >= opens_until_) throw service_failure(status);
    call.reset();
    while (Clock::now() < again) turn(nullptr, again);
  }
}

void Pump::turn(PumpedCall* call, TimePoint until) {
  auto& client = invocation_.client();
  events_ = {{client.fd(), POLLIN, 0}, {interrupt_.fd(), POLLIN, 0}};
  const auto own = events_.size();
  if (call != nullptr) call->add_events(events_);
  wait_for(events_, std::min(until, client.due()));
  if (events_[1].revents != 0)
    if (const int number = interrupt_.take(); number != 0) throw SignalEnd{number};
  client.process();
  if (call == nullptr) return;
  const auto proceeded = call->proceed(std::span(events_).subspan(own), buffer_);
  if (proceeded.ok()) return;
  if (proceeded.error().code == EPIPE) throw SignalEnd{SIGPIPE};
  throw Failure{ExitCode::kUnreachable, proceeded.error().message()};
}

}  // namespace hostcall::cli::guest
