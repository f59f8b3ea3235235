// Server: the daemon's listeners and connections. Identifies each new connection, admits or refuses it, keeps the
// listeners in step with the registry, reports the ends of sessions and boots, reloads and shuts down.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "daemon/calls/connection.h"
#include "daemon/calls/environment.h"
#include "daemon/calls/lifetimes.h"
#include "daemon/calls/server_control.h"
#include "daemon/loop/journal.h"
#include "daemon/loop/listener.h"
#include "daemon/vms/settings.h"

namespace hostcall::daemon {

// The objects that main builds for the server.
struct ServerParts {
  Reactor& reactor;
  Journal& journal;
  Audit& audit;
  Stats& stats;
  Config& config;
  Registry& registry;
  Access& access;
  const Router& router;
  LifetimeObserver& lifetimes;
};

class Server final : public ServerControl, private Connections, private Acceptor {
 public:
  Server(const ServerParts& parts, std::string config_file);
  ~Server();

  // Adopts systemd's listeners and opens the others. Throws std::runtime_error if one in the configuration can't be
  // opened; only journals it if a VM's own listener can't.
  void start();
  // Stops accepting, sends Goaway and lets running calls finish. Stops the reactor when they have, or after the drain
  // time-out.
  void shut_down();

  // ServerControl
  void for_each_session(const std::function<void(const SessionInfo&)>& visit) const override;
  [[nodiscard]] bool close_session(std::uint64_t id, std::string_view why) override;
  Done reload() override;
  Done vm_added(const Vm& vm) override;
  std::size_t vm_removed(const Vm& vm) override;
  std::uint64_t journal_records_lost() const override { return parts_.journal.lost(); }

 private:
  void closed(Connection& connection) override;
  void booted(const Connection& connection, bool again) override;
  void accepted(UniqueFd fd, const Listener& listener) override;
  void accept_failed(const Error& error, const Listener& listener) override;

  Status identify(int fd, const Listener& listener, Caller& caller);
  Status check_admin(int fd, const net::Peer& peer) const;
  Status admit(const Caller& caller, Charge& place);
  bool is_admin(const Listener& listener) const;
  Done open(const net::Address& address, mode_t mode);
  Done open_vm_listener(const Vm& vm);
  void end_sessions(const Vm& vm, wire::GoawayReason reason, std::string_view text, const Connection* except);
  void open_vm_listeners();
  void close_vm_listener(const Vm& vm);
  void share_admin_socket();
  void adopt_inherited();
  Done add_listener(UniqueFd fd, const net::Address& address, bool inherited);
  void take_over(Settings settings);
  void warn_of_unknown_calls();
  void update_status();
  void housekeeping();
  void write_session(MessageId message, const Connection& connection, std::string_view what);
  void finish_if_idle();
  void drain_over();

  const ServerParts parts_;
  CallEnvironment calls_;
  const std::string config_file_;
  gid_t admin_group_ = static_cast<gid_t>(-1);
  std::map<std::string, std::unique_ptr<Listener>> listeners_;  // by address text
  std::map<std::uint64_t, std::unique_ptr<Connection>> connections_;
  std::size_t refused_ = 0;  // those of connections_ that only wait for their refusal
  std::uint64_t next_session_ = 1;
  Timer housekeeping_;
  Timer drain_timer_;
  std::string last_status_;
  bool stopping_ = false;
  bool drain_overdue_ = false;
};

}  // namespace hostcall::daemon
