// Forwarder: carries each connection to a local socket to a service of the host, all of them over one connection to the
// host. One loop, in which nobody waits for another.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "client/cli/interrupt.h"
#include "client/cli/invocation.h"
#include "client/hostcall/event_set.h"
#include "client/hostcall/local_listener.h"
#include "client/hostcall/relay_call.h"

namespace hostcall::cli::guest {

// The most that one connection may have waiting here: a stream's window, and the message that may exceed it.
inline constexpr std::uint32_t kUnreadBytesEach = 640 * 1024;

class Forwarder {
 public:
  // Those it refers to must outlive it, and `events`, which is empty, the invocation's client. More connections than
  // `most` wait until others end. Throws Failure.
  Forwarder(Invocation& invocation, const LocalListener& listener, EventSet& events, std::string service,
            std::size_t most);

  // Until a signal comes, which it throws as SignalEnd, or the deadline, as a Failure. What fails for one connection is
  // told on standard error.
  [[noreturn]] void run();

 private:
  struct Connection {
    UniqueFd socket;
    std::unique_ptr<RelayCall> call;
    TimePoint opens_until;
    std::vector<pollfd> events;  // that the call waits for
    short watched = 0;           // the same for the socket
    short came = 0;              // what has happened of them
  };

  void wait();
  void note(const epoll_event& event);
  void watch_listener();
  Done watch(Connection& connection);
  TimePoint next_time() const;
  bool may_accept() const;
  void proceed_all();
  // False: the connection is to be forgotten.
  bool proceed(Connection& connection);
  Done proceed_call(Connection& connection);
  bool end(Connection& connection);
  bool refuse(Connection& connection, const Failure& failure);
  void accept_all();
  void begin(UniqueFd socket);
  void tell(const std::string& text) const;

  Invocation& invocation_;
  const LocalListener& listener_;
  EventSet& events_;
  const std::string service_;
  const std::size_t most_;
  const Interrupt interrupt_{SIGINT, SIGTERM, SIGHUP};
  std::vector<std::unique_ptr<Connection>> connections_;
  std::vector<char> buffer_;
  TimePoint now_ = Clock::now();  // after the last wait
  short listener_watched_ = 0;
  bool client_came_ = false, listener_came_ = false;
  TimePoint accepts_again_{};  // after the kernel had no descriptor for another connection
  bool told_of_limit_ = false;
};

}  // namespace hostcall::cli::guest
