// Listeners: the sockets that hostcalld listens on: systemd's, those of the configuration, and those of VMs, which are
// opened and closed with the registry.
#pragma once

#include <sys/types.h>

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "daemon/config/config.h"
#include "daemon/handover/forward.h"
#include "daemon/loop/descriptors.h"
#include "daemon/loop/inherited.h"
#include "daemon/loop/journal.h"
#include "daemon/loop/listener.h"
#include "daemon/vms/registry.h"

namespace hostcall::daemon {

// No group has it.
inline constexpr gid_t kNoGroup = static_cast<gid_t>(-1);

class Listeners {
 public:
  struct Parts {
    Reactor& reactor;
    Journal& journal;
    const Config& config;
    Registry& registry;
    const DescriptorShares& descriptors;
    Acceptor& acceptor;
  };

  explicit Listeners(const Parts& parts) : parts_(parts) {}

  // Takes over a listening socket of an earlier daemon, for start(): it is adopted where it is needed, and closed
  // otherwise.
  void keep(const std::string& address, UniqueFd fd, std::uint64_t owner);
  // Adds those that the daemon has opened itself.
  void hand_over(Outgoing& parcel) const;
  // Null: there is none.
  const Listener* find(const std::string& address) const;
  // Adopts systemd's and opens the others. `admin_group` (or kNoGroup) may use the admin socket. Throws
  // std::runtime_error if one in the configuration can't be opened; only journals it if a VM's own can't.
  void start(std::vector<InheritedSocket> inherited, gid_t admin_group);
  // Stops accepting.
  void stop();

  // Opens the VM's own again if its file has gone, or if it is an earlier registration's. Only systemd can do that for
  // a socket of systemd's.
  Done open(Vm& vm);
  // As open(), and journals a failure. Returns the warning, or nothing.
  std::string renew(Vm& vm);
  // Closes the VM's own, and removes the directory that was made for it.
  void remove(const Vm& vm);

  bool is_admin(const Listener& listener) const;
  // Why the VM can't connect, with the remedy; empty if it can.
  std::string unreachable(const Vm& vm) const;
  // Those that are not of a VM; and how many are.
  std::vector<std::string> shared() const;
  std::size_t of_vms() const;
  // Why VMs can't call, one text for each reason, at most 20. Looks at no file.
  std::vector<std::string> all_missing() const;
  // "vsock::18499, unix:/run/hostcall/admin.sock and 3 sockets of VMs"
  std::string summary() const;

 private:
  Done open_at(const net::Address& address, mode_t mode, std::uint64_t registration = 0);
  Done open_at_its_place(const Vm& vm);
  Done add(UniqueFd fd, const net::Address& address, bool inherited, std::uint64_t registration);
  void adopt(std::vector<InheritedSocket> sockets);
  std::optional<UniqueFd> take_kept(const net::Address& address, std::uint64_t registration);
  void close_kept();
  void close(const Vm& vm);
  void share_admin_socket(gid_t admin_group);
  bool has_vsock() const;
  std::string missing(const Vm& vm) const;

  const Parts parts_;
  std::map<std::string, std::unique_ptr<Listener>> listeners_;  // by address text
  std::map<std::string, std::string> errors_;                   // by path: why a VM's listener is missing
  struct Kept {
    UniqueFd fd;
    std::uint64_t owner;
  };
  std::map<std::string, Kept> kept_;  // of an earlier daemon, by address text
};

// A listener that was opened for a registered VM serves only this registration: once a reload has taken effect, its
// path may be another VM's, or have another vmm_uid, while the listener still has the mode and the peers of the old
// one. One of systemd's or of the configuration serves whoever the registry names.
inline bool serves(const Listener& listener, const Vm& vm) {
  return listener.owner() == 0 || listener.owner() == vm.registration;
}

}  // namespace hostcall::daemon
