// Server: the listeners and connections of the daemon. Decides who a new connection is and whether it may stay, keeps
// the listeners in step with the registry, and carries out reload and shutdown.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "daemon/calls/connection.h"
#include "daemon/calls/environment.h"
#include "daemon/loop/listener.h"
#include "daemon/vms/settings.h"

namespace hostcall::daemon {

class Server final : public Connections, public Acceptor {
 public:
  Server(const Parts& parts, std::string config_file);
  ~Server();

  // Opens the listeners and takes over those of systemd. Throws std::runtime_error for one that the configuration
  // names and that can't be opened; a VM's own listener that can't be opened is only reported.
  void start();
  // Reads all files again and takes them over, all or nothing. Returns what was wrong, empty if nothing.
  std::string reload();
  // Stops accepting, says Goaway, lets running calls finish, stops the reactor when all is done or the time is over.
  void shut_down();

  // A VM was registered. Returns why its listener could not be opened, empty if it could.
  std::string vm_added(const Vm& vm);
  // A VM was removed. Returns how many sessions this ends.
  std::size_t vm_removed(const Vm& vm);

  Connection* find(std::uint64_t session_id);
  const std::map<std::uint64_t, std::unique_ptr<Connection>>& all() const { return connections_; }
  std::uint64_t journal_records_lost() const { return environment_.journal.lost(); }

  void closed(Connection& connection) override;
  void end_sessions(const Vm& vm, wire::GoawayReason reason, std::string_view text, const void* except) override;

 private:
  void accepted(UniqueFd fd, const Listener& listener) override;
  void accept_failed(const Error& error, const Listener& listener) override;

  Status identify(int fd, const Listener& listener, Caller& caller);
  Status check_admin(int fd, const net::Peer& peer) const;
  Status admit(const Caller& caller, Charge& place);
  bool is_admin(const Listener& listener) const;
  void open(const net::Address& address, mode_t mode);
  std::string open_vm_listener(const Vm& vm);
  void close_vm_listener(const Vm& vm);
  void share_admin_socket();
  void adopt_inherited();
  void add_listener(UniqueFd fd, const net::Address& address, bool inherited);
  void take_over(Settings settings);
  void warn_of_unknown_calls();
  void update_status();
  void housekeeping();
  void write_session(Event event, const Connection& connection, std::string_view what);
  void finish_if_idle();
  void drain_over();

  Environment environment_;
  const std::string config_file_;
  gid_t admin_group_ = static_cast<gid_t>(-1);
  std::map<std::string, std::unique_ptr<Listener>> listeners_;  // by address text
  std::map<std::uint64_t, std::unique_ptr<Connection>> connections_;
  std::size_t refused_ = 0;  // of connections_: those that only wait to hear why they may not be here
  std::uint64_t next_session_ = 1;
  Timer housekeeping_;
  Timer drain_timer_;
  std::string last_status_;
  bool stopping_ = false;
  bool drain_overdue_ = false;
};

}  // namespace hostcall::daemon
