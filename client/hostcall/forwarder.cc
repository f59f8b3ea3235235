// Forwarder: see forwarder.h.
#include "client/hostcall/forwarder.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

#include "client/cli/duration.h"
#include "client/cli/output.h"
#include "client/cli/text.h"
#include "client/cli/wait.h"
#include "proto/base/escape.h"

namespace hostcall::cli::guest {
namespace {

// Before another connection is accepted when the kernel had no room for one.
constexpr Duration kPause = milliseconds(200);

// The places of the events that are not a connection's.
enum Place : std::size_t { kClient, kSignals, kListener, kOwn };

// The client sees a reset instead of an end, which would mean that it has got everything. Unix sockets know no resets.
void reset_at_close(int fd) {
  const linger at_once{.l_onoff = 1, .l_linger = 0};
  ::setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
}

void send_at_once(int fd) {
  const int on = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);  // fails on Unix sockets, which do so anyway
}

}  // namespace

Forwarder::Forwarder(Invocation& invocation, const LocalListener& listener, std::string service, std::size_t most)
    : invocation_(invocation), listener_(listener), service_(std::move(service)), most_(most), buffer_(kPieceBytes) {}

void Forwarder::run() {
  for (;;) {
    wait();
    auto& client = invocation_.client();
    if (events_[kClient].revents != 0 || client.due() <= Clock::now()) client.process();
    proceed_all();
    if (events_[kListener].revents != 0) accept_all();
    // What was sent leaves now, not after the next wait.
    if (client.due() == TimePoint()) client.process();
  }
}

bool Forwarder::may_accept() const { return connections_.size() < most_ && Clock::now() >= accepts_again_; }

TimePoint Forwarder::next_time() const {
  auto next = std::min(invocation_.deadline(), invocation_.client().due());
  if (accepts_again_ > Clock::now()) next = std::min(next, accepts_again_);
  for (const auto& connection : connections_) {
    if (connection.call->has_news()) return TimePoint();
    if (!connection.call->is_open()) next = std::min(next, connection.opens_until);
  }
  return next;
}

void Forwarder::wait() {
  events_.assign(kOwn, {.fd = -1, .events = POLLIN, .revents = 0});
  events_[kClient].fd = invocation_.client().fd();
  events_[kSignals].fd = interrupt_.fd();
  if (may_accept()) events_[kListener].fd = listener_.fd();
  for (auto& connection : connections_) {
    connection.first_event = events_.size();
    connection.call->add_events(events_);
  }
  wait_for(events_, next_time());
  if (events_[kSignals].revents != 0)
    if (const int number = interrupt_.take(); number != 0) throw SignalEnd{number};
  if (Clock::now() >= invocation_.deadline())
    throw Failure{ExitCode::kDeadline,
                  "the time is over (--timeout); connections that were open: " + std::to_string(connections_.size())};
}

void Forwarder::proceed_all() {
  std::erase_if(connections_, [this](Connection& connection) { return !proceed(connection); });
}

bool Forwarder::proceed(Connection& connection) {
  auto& call = *connection.call;
  const auto events = std::span(events_).subspan(connection.first_event, RelayCall::kEvents);
  const bool has_event = std::ranges::any_of(events, [](const pollfd& event) { return event.revents != 0; });
  if (has_event || call.has_news()) {
    // Nobody is left to tell: the client has gone.
    if (!call.proceed(events, buffer_).ok()) return false;
    if (call.ended()) return end(connection);
  }
  if (call.is_open() || Clock::now() < connection.opens_until) return true;
  return refuse(connection, {ExitCode::kDeadline, "DEADLINE_EXCEEDED: the host did not take the call within " +
                                                      exact_duration(kDefaultTimeout)});
}

bool Forwarder::end(Connection& connection) {
  const auto status = connection.call->status();
  return status.ok() ? false : refuse(connection, service_failure(of_read(status)));
}

bool Forwarder::refuse(Connection& connection, const Failure& failure) {
  tell(failure.text);
  reset_at_close(connection.socket.get());
  return false;
}

void Forwarder::tell(const std::string& text) const {
  complain(invocation_.program(), "a connection to " + printable(service_) + ": " + escape_message(text));
}

void Forwarder::accept_all() {
  while (may_accept()) {
    auto socket = net::accept(listener_.fd());
    if (socket.ok()) {
      begin(*std::move(socket));
      continue;
    }
    if (socket.error().code == EAGAIN) return;
    tell(socket.error().message());
    accepts_again_ = Clock::now() + kPause;
  }
  if (connections_.size() < most_ || std::exchange(told_of_limit_, true)) return;
  tell(std::to_string(most_) + " are open (--connections); more wait until others end");
}

void Forwarder::begin(UniqueFd socket) {
  send_at_once(socket.get());
  const int fd = socket.get();
  Connection connection{.socket = std::move(socket), .call = nullptr, .opens_until = Clock::now() + kDefaultTimeout};
  try {
    connection.call =
        std::make_unique<RelayCall>(invocation_.client(), service_, Ends{{fd, "read"}, {fd, "write"}},
                                    CallOptions{.timeout = kNoTimeout, .wait_for_ready = invocation_.common().wait});
  } catch (const Failure& failure) {
    refuse(connection, failure);
    return;
  }
  connections_.push_back(std::move(connection));
}

}  // namespace hostcall::cli::guest
