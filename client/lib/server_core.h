// Core: the server behind the public class Server: its sockets, connections and turns.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "client/lib/server_acceptor.h"
#include "client/lib/server_connection.h"
#include "client/lib/server_environment.h"

namespace hostcall::server {

class Core final : private Turns, private ConnectionOwner, private Watcher {
 public:
  Core(ServerOptions options, Poll poll, UniqueFd nudge);
  ~Core();
  // Error: the kernel watches no more descriptors.
  Done start(std::vector<ListeningSocket> sockets);

  void add(std::shared_ptr<ServedMethod> method) { environment_.methods.add(std::move(method)); }
  int fd() const { return poll_.fd(); }
  // When turn() has something to do without input. kNever: never.
  TimePoint due() const;
  // Time until due(), rounded up; negative: forever.
  milliseconds time_left() const;
  // Does what is to be done, after waiting for it for at most `time`; negative: forever.
  void turn(milliseconds time);
  // From any thread.
  void post(std::function<void()> function);
  // From any thread and signal handler.
  void stop();
  bool stopped() const { return stopped_; }

 private:
  void deliver_later(const std::shared_ptr<OpenCall>& call) override;
  void at_turn_end(Connection& connection) override;
  void closed(Connection& connection) override;
  void on_ready(std::uint32_t events) override;

  void accept(UniqueFd fd, const net::Peer& peer);
  wire::Status refusal_of(const net::Peer& peer) const;
  void nudge();
  void run_posted();
  void deliver_messages();
  void end_turn();
  void begin_stop();
  void go_on_stopping();
  bool has_work() const { return !at_end_.empty() || !delivering_.empty(); }

  Poll poll_;
  UniqueFd nudge_;  // an eventfd
  Environment environment_;
  std::vector<std::unique_ptr<Acceptor>> acceptors_;
  std::vector<std::unique_ptr<Connection>> connections_;
  std::vector<std::unique_ptr<Connection>> dead_;  // events of this turn may name these
  std::vector<Connection*> at_end_, ending_;       // of the next end of a turn, and of this one
  std::vector<std::weak_ptr<OpenCall>> delivering_;
  std::uint64_t last_connection_ = 0;
  std::size_t refused_ = 0;  // of the connections
  TimePoint stop_at_ = kNever;
  bool in_turn_ = false;
  bool stopping_ = false;
  bool stopped_ = false;
  std::atomic<bool> stop_asked_ = false;
  std::mutex posting_;
  std::vector<std::function<void()>> posted_;
};

}  // namespace hostcall::server
