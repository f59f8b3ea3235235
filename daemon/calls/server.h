// Server: the daemon's connections. Identifies each new one, admits or refuses it, keeps the listeners in step with the
// registry, reports the ends of sessions and boots, reloads and shuts down.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "daemon/calls/connection.h"
#include "daemon/calls/environment.h"
#include "daemon/calls/lifetimes.h"
#include "daemon/calls/listeners.h"
#include "daemon/calls/refused_slots.h"
#include "daemon/calls/reloader.h"
#include "daemon/calls/review.h"
#include "daemon/calls/server_control.h"
#include "daemon/calls/service_catalog.h"
#include "daemon/loop/descriptors.h"
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
  ServiceCatalog& catalog;
  const Router& router;
  LifetimeObserver& lifetimes;
  Background& background;
};

class Server final : public ServerControl, private Connections, private Acceptor, private ReloadTarget {
 public:
  Server(const ServerParts& parts, std::string config_file);
  ~Server();

  // Adopts systemd's listeners and opens the others. Throws std::runtime_error if one in the configuration can't be
  // opened; only journals it if a VM's own listener can't. Goes on, from the next turn on, with all that the daemon
  // before has handed over, if there was one.
  void start(std::vector<InheritedSocket> sockets, Incoming& before);
  // Stops accepting, sends Goaway and lets running calls finish. Stops the reactor when they have, or after the drain
  // time-out.
  void shut_down();

  // --- another daemon goes on; server_handover.cc ---
  // Gives the parcel away and ends the process, whose descriptors are not its own any more: it must neither send nor
  // close anything. Returns why nobody has taken it.
  using Give = std::function<Error(const Outgoing&)>;
  // Others who add to it.
  using AddRest = std::function<void(Outgoing&)>;
  // Takes no more input, lets running calls finish for a moment, and hands everything over. If that fails, shuts down.
  void hand_over(Give give, AddRest add_rest);

  // ServerControl
  void for_each_session(const Vm* vm, std::uint64_t after,
                        const std::function<bool(const SessionInfo&)>& visit) const override;
  OpenConnections connections() const override;
  [[nodiscard]] bool close_session(std::uint64_t id, std::string_view why) override;
  void reload(OnReloaded done) override { reloader_.request(std::move(done)); }
  Done vm_added(Vm& vm) override;
  std::size_t vm_removed(const Vm& vm) override;
  void vm_changed(const Vm& vm) override;
  void record_added(const Vm& vm) override;
  void record_removed(const Vm& vm) override;
  std::string unreachable(const Vm& vm) const override { return listeners_.unreachable(vm); }
  ServerFacts facts() const override;
  std::uint64_t journal_records_lost() const override { return parts_.journal.lost(); }

 private:
  void closed(Connection& connection) override;
  void booted(const Connection& connection, bool again) override;
  void accepted(UniqueFd fd, const Listener& listener) override;
  void accept_failed(const Error& error, const Listener& listener) override;
  UniqueFd& spare_descriptor() override { return spare_; }
  void reload_begins() override;
  const Config& config() const override { return parts_.config; }
  KnownNames known_names() const override;
  bool is_reviewing() const override { return review_.is_running(); }
  void take_over(Settings settings) override;
  void vm_left(const Vm& vm) override {
    vm_removed(vm);
    record_removed(vm);
  }
  void vm_came(Vm& vm) override { record_added(vm); }
  std::string renew_listener(Vm& vm) override { return listeners_.renew(vm); }
  void reload_is_over(const ReloadOutcome& outcome) override;

  Connection& add(std::unique_ptr<Connection> connection);
  Status identify(int fd, const Listener& listener, Caller& caller);
  Status check_admin(int fd, const net::Peer& peer) const;
  Status admit(int fd, const Caller& caller, Charge& place);
  Status admit_admin() const;
  std::size_t guests_connected() const { return connections_.size() - refused_.total() - administrators_; }
  std::string what_it_starts_with() const;
  void report_failed_accepts();
  using IsConcerned = bool (*)(const Connection&);
  void end_sessions(const Vm& vm, wire::GoawayReason reason, std::string_view text, IsConcerned is_concerned);
  void warn(const std::vector<std::string>& warnings);
  void look_at_services();
  void update_status();
  void housekeeping();
  void forget_place(const Connection& connection, std::uint64_t id);
  void write_session(MessageId message, const Connection& connection, std::string_view what);
  void finish_if_idle();
  void drain_over();
  void hand_over_if_ready();
  Outgoing parcel();
  void fail_to_hand_over(const Error& error);
  void keep_listeners(Incoming& incoming);
  void resume(Incoming& incoming);
  void resume_vm(const handover::Vm& in);
  void resume_connection(const handover::Connection& in, Incoming& incoming);
  Status find_again(const handover::Connection& in, int fd, Caller& caller, Charge& place);

  const ServerParts parts_;
  CallEnvironment calls_;
  gid_t admin_group_ = kNoGroup;
  std::map<std::uint64_t, std::unique_ptr<Connection>> connections_;
  std::set<std::pair<const Vm*, std::uint64_t>> vm_sessions_;  // connections_ of VMs
  const DescriptorShares descriptors_;
  Listeners listeners_;
  RefusedSlots refused_{descriptors_.refused_per_caller()};  // those of connections_ that only wait for their refusal
  std::size_t administrators_ = 0;                           // those of connections_ on the admin socket
  UniqueFd spare_ = open_spare();
  std::uint64_t failed_accepts_ = 0;  // since the last record of one
  bool accept_reported_ = false;
  std::uint64_t next_session_ = 1;
  Review review_;
  Timer housekeeping_;
  Timer drain_timer_;
  Timer hand_over_timer_;
  std::string last_status_;
  const TimePoint started_;
  const std::int64_t started_unix_nano_;
  std::optional<ReloadInfo> last_reload_;
  std::vector<std::string> warnings_;  // of the configuration in force
  bool stopping_ = false;
  bool drain_overdue_ = false;
  Give give_;                        // while it hands over
  AddRest add_rest_;                 // the same
  TimePoint hand_over_at_ = kNever;  // at the latest
  std::int64_t silent_since_ns_ = 0;
  Reloader reloader_;
};

}  // namespace hostcall::daemon
