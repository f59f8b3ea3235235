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

// The data of events; a connection's is its address.
enum Data : std::uint64_t { kClient, kSignals, kListener };

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

Forwarder::Forwarder(Invocation& invocation, const LocalListener& listener, EventSet& events, std::string service,
                     std::size_t most)
    : invocation_(invocation),
      listener_(listener),
      events_(events),
      service_(std::move(service)),
      most_(most),
      buffer_(kPieceBytes) {
  short watched = 0;
  const auto watches = events.want(interrupt_.fd(), watched, POLLIN, kSignals);
  if (!watches.ok()) throw Failure{ExitCode::kUnreachable, watches.error().message()};
  if (const auto status = invocation.client().watch(events.fd(), kClient); !status.ok()) throw failure_of(status);
}

void Forwarder::run() {
  for (;;) {
    wait();
    auto& client = invocation_.client();
    if (std::exchange(client_came_, false) || client.due() <= now_) client.process();
    proceed_all();
    if (std::exchange(listener_came_, false)) accept_all();
    // What was sent leaves now, not after the next wait.
    if (client.due() == TimePoint()) client.process();
  }
}

bool Forwarder::may_accept() const { return connections_.size() < most_ && now_ >= accepts_again_; }

TimePoint Forwarder::next_time() const {
  auto next = std::min(invocation_.deadline(), invocation_.client().due());
  if (accepts_again_ > now_) next = std::min(next, accepts_again_);
  for (const auto& connection : connections_) {
    if (connection->call->has_news()) return TimePoint();
    if (!connection->call->is_open()) next = std::min(next, connection->opens_until);
  }
  return next;
}

void Forwarder::wait() {
  watch_listener();
  for (const auto& event : events_.wait(next_time())) note(event);
  now_ = Clock::now();
  if (now_ >= invocation_.deadline())
    throw Failure{ExitCode::kDeadline,
                  "the time is over (--timeout); connections that were open: " + std::to_string(connections_.size())};
}

void Forwarder::note(const epoll_event& event) {
  switch (event.data.u64) {
    case kClient: client_came_ = true; return;
    case kListener: listener_came_ = true; return;
    case kSignals:
      if (const int number = interrupt_.take(); number != 0) throw SignalEnd{number};
      return;
    default: reinterpret_cast<Connection*>(event.data.u64)->came = static_cast<short>(event.events);
  }
}

void Forwarder::watch_listener() {
  const short wanted = may_accept() ? POLLIN : 0;
  if (!events_.want(listener_.fd(), listener_watched_, wanted, kListener).ok()) accepts_again_ = now_ + kPause;
}

// All that a call waits for is the socket.
Done Forwarder::watch(Connection& connection) {
  connection.events.clear();
  connection.call->add_events(connection.events);
  short wanted = 0;
  for (const auto& event : connection.events)
    if (event.fd >= 0) wanted |= event.events;
  return events_.want(connection.socket.get(), connection.watched, wanted,
                      reinterpret_cast<std::uintptr_t>(&connection));
}

void Forwarder::proceed_all() {
  std::erase_if(connections_, [this](const auto& connection) { return !proceed(*connection); });
}

Done Forwarder::proceed_call(Connection& connection) {
  const auto came = std::exchange(connection.came, short{0});
  for (auto& event : connection.events)
    event.revents = event.fd < 0 ? short{0} : static_cast<short>(came & (event.events | POLLERR | POLLHUP));
  return connection.call->proceed(connection.events, buffer_);
}

bool Forwarder::proceed(Connection& connection) {
  auto& call = *connection.call;
  if (connection.came != 0 || call.has_news()) {
    // Nobody is left to tell: the client has gone.
    if (!proceed_call(connection).ok()) return false;
    if (call.ended()) return end(connection);
    if (const auto watches = watch(connection); !watches.ok())
      return refuse(connection, {ExitCode::kUnreachable, watches.error().message()});
  }
  if (call.is_open() || now_ < connection.opens_until) return true;
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
    accepts_again_ = now_ + kPause;
  }
  if (connections_.size() < most_ || std::exchange(told_of_limit_, true)) return;
  tell(std::to_string(most_) + " are open (--connections); more wait until others end");
}

void Forwarder::begin(UniqueFd socket) {
  send_at_once(socket.get());
  const int fd = socket.get();
  auto connection = std::make_unique<Connection>();
  connection->socket = std::move(socket);
  connection->opens_until = now_ + kDefaultTimeout;
  try {
    connection->call =
        std::make_unique<RelayCall>(invocation_.client(), service_, Ends{{fd, "read"}, {fd, "write"}},
                                    CallOptions{.timeout = kNoTimeout, .wait_for_ready = invocation_.common().wait});
  } catch (const Failure& failure) {
    refuse(*connection, failure);
    return;
  }
  connection->call->add_events(connection->events);
  connections_.push_back(std::move(connection));
}

}  // namespace hostcall::cli::guest
