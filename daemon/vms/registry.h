// Registry: this host's VMs and how to recognise each. Records come from vms.d and, at run time, from the admin
// service. Run-time records outlive the daemon (runtime directory) or the host's boot (state directory).
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "daemon/config/socket_keys.h"
#include "daemon/config/vm_file.h"
#include "daemon/vms/quota.h"
#include "proto/base/result.h"
#include "proto/net/socket.h"

namespace hostcall::daemon {

// A registered VM. Its sessions share it and briefly outlive its removal.
struct Vm {
  Vm(VmRecord vm_record, std::string vm_origin, std::uint64_t number, const Limits& limits);

  // What counts anew is started full; what stays the same is left alone.
  void set_limits(const Limits& limits);
  bool from_file() const { return origin != kRunTime && origin != kPersistent; }

  static constexpr std::string_view kRunTime = "run time";
  static constexpr std::string_view kPersistent = "run time, persistent";

  const VmRecord record;
  std::string origin;                // "file:line", kRunTime or kPersistent
  const std::uint64_t registration;  // grows with every registration since the host booted
  std::string boot_id;               // from the latest Hello; empty: none yet
  Quota quota;
  TokenBucket connect_rate;
  TokenBucket store_write_rate;
  bool removed = false;  // no longer in the registry
  std::uint64_t calls = 0;
  std::uint64_t denied = 0;
};
using VmRef = std::shared_ptr<Vm>;

struct RegistryPaths {
  std::string runtime_file;            // survives the daemon, but not a reboot of the host
  std::string state_file;              // survives a reboot of the host
  std::vector<OwnSocket> own_sockets;  // no VM may use these
};

class Registry {
 public:
  // Reads the run-time records; throws ConfigError if a file is broken. Call replace_files() before any add() or
  // remove(): until then the file records' registration numbers are only remembered.
  Registry(RegistryPaths paths, const Limits& defaults);
  Registry(Registry&&) = default;

  using FileRecord = daemon::FileRecord;
  // Reads every *.json of vms.d: {"vms": [record, …]} or a single record. Throws ConfigError, also if two records clash
  // or one names a socket of hostcalld's own.
  static std::vector<FileRecord> read_directory(const std::string& directory, const std::vector<OwnSocket>& own = {});

  // The caller ends the sessions of `removed`, and opens and closes listeners.
  struct Change {
    std::vector<VmRef> added, removed;
  };
  // Replaces the earlier file records, all or nothing. An unchanged record keeps its Vm (with new limits); a changed
  // one is a new registration. Throws ConfigError if records clash, if limits contradict each other, or if the runtime
  // file can't be written.
  Change replace_files(const std::vector<FileRecord>& records, const Limits& defaults);

  // Refuses an invalid record, and one whose name, CID or socket is taken; the text says by whom. On return the record
  // is on disk.
  struct Refusal {
    enum class Kind { kInvalid, kTaken, kNotFound, kFromFile, kStorage } kind = Kind::kInvalid;
    std::string text;
  };
  struct [[nodiscard]] Outcome {
    VmRef vm;         // null: refused
    Refusal refusal;  // the reason, if refused
  };
  Outcome add(const VmRecord& record, bool persistent);
  // Removes a run-time record.
  Outcome remove(const std::string& name);

  VmRef find(std::string_view name) const;
  // Only (local CID 2, peer CID > 2) is a guest of this host. Null if unknown.
  VmRef find_by_cid(std::uint32_t local_cid, std::uint32_t peer_cid) const;
  VmRef find_by_path(std::string_view path) const;
  // Sorted by name.
  const std::map<std::string, VmRef, std::less<>>& all() const { return by_name_; }

  // Why a peer is refused and what to do: for peers that find_by_* does not know, and for one on the listener of `vm`
  // whose uid is not vmm_uid.
  static std::string refusal_text(const net::Peer& peer, const net::Address& listener, const Vm* vm = nullptr);

 private:
  using Table = std::map<std::string, VmRef, std::less<>>;

  std::uint64_t registration_of(const VmRecord& record);
  VmRef make(const VmRecord& record, std::string origin, const Limits& defaults);
  VmRef keep_or_make(const FileRecord& record, const Limits& defaults);
  void check_files(const std::vector<FileRecord>& records, const Limits& defaults) const;
  // Nothing if the record may be added.
  std::optional<Refusal> refuse_new(const VmRecord& record) const;
  // Writes `table` to disk, including the state file if that changes too.
  Done save(const Table& table, bool with_state) const;
  void commit(Table table);

  RegistryPaths paths_;
  Limits defaults_;
  std::uint64_t last_registration_ = 0;
  std::map<std::string, RuntimeState::Entry> remembered_;  // from the runtime file, until replace_files()
  Table by_name_;
  std::unordered_map<std::uint32_t, VmRef> by_cid_;
  std::unordered_map<std::string, VmRef> by_path_;
};

}  // namespace hostcall::daemon
