// Registry: this host's VMs and how to recognise each. Records come from vms.d and, at run time, from the admin
// service. Run-time records outlive the daemon (runtime directory) or the host's boot (state directory). Adding or
// removing a VM costs the same beside any number of others, and no function here waits for the disk.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "daemon/config/socket_keys.h"
#include "daemon/config/vm_file.h"
#include "daemon/vms/vm_tables.h"
#include "proto/base/result.h"
#include "proto/net/socket.h"

namespace hostcall::daemon {

struct RegistryPaths {
  std::string runtime_directory;       // survives the daemon, but not a reboot of the host
  std::string state_directory;         // survives a reboot of the host
  std::vector<OwnSocket> own_sockets;  // no VM may use these
};

// For Registry::prepare() and settle(): in one part.
inline constexpr std::size_t kAllAtOnce = ~std::size_t{0};

class Registry {
 public:
  // Reads the run-time records; throws ConfigError if a file is broken. Writes nothing. Call replace_files() before any
  // add() or remove(): until then the file records' registration numbers are only remembered.
  Registry(const RegistryPaths& paths, const Limits& defaults);
  ~Registry();
  Registry(Registry&&) noexcept;

  using FileRecord = daemon::FileRecord;
  // Reads every *.json of vms.d: {"vms": [record, …]} or a single record. A record with only a vmm_uid gets its
  // listener's path (vm_directory.h). Throws ConfigError, also if two records clash, if one names a socket of
  // hostcalld's own, or if its limits contradict the defaults.
  static std::vector<FileRecord> read_directory(const std::string& directory, const RegistryPaths& paths = {},
                                                const Limits& defaults = {});

  // The caller ends the sessions of `removed`, and opens and closes listeners.
  struct Change {
    std::vector<VmRef> added, removed;
  };
  // Replaces the earlier file records, all or nothing. An unchanged record keeps its Vm (with new limits); a changed
  // one is a new registration. Throws ConfigError if records clash, if limits contradict each other, or if the runtime
  // directory can't be written.
  Change replace_files(std::vector<FileRecord> records, const Limits& defaults);

  // The same in parts, so that no turn is long: prepare() until it returns true, commit() in one turn, settle() until
  // it returns true. Until commit(), nothing has changed; a throw ends the replacement. VMs may be added and removed
  // between the parts. Each part handles about `records` of them.
  void begin_replacement(std::vector<FileRecord> records, const Limits& defaults);
  bool prepare(std::size_t records);
  Change commit();
  bool settle(std::size_t records);
  // What settle() could not keep: the next start gives these VMs new numbers. Empty: nothing.
  const std::string& trouble() const { return trouble_; }

  // Refuses an invalid record, and one whose name, CID or socket is taken; the text says by whom. The VM is registered
  // on return; a persistent one must still be kept with writing().
  struct Refusal {
    enum class Kind { kInvalid, kTaken, kNotFound, kFromFile, kStorage } kind = Kind::kInvalid;
    std::string text;
  };
  struct [[nodiscard]] Outcome {
    VmRef vm;         // null: refused
    Refusal refusal;  // the reason, if refused
  };
  Outcome add(const VmRecord& record, bool persistent);
  // Whether remove() may remove it; the outcome has the VM.
  Outcome find_removable(const std::string& name) const;
  // Removes a run-time record. A persistent one must be off the disk (erasing()); its removal does not fail.
  Outcome remove(const std::string& name);

  // Whether change() may put this record in the place of the VM's: it differs in tags and limits only.
  Outcome find_changeable(const VmRecord& record) const;
  // Changes a registered VM where it is: its sessions go on. A persistent record must be on the disk (rewriting()), and
  // its change does not fail.
  Outcome change(const VmRecord& record);

  // What keeps a persistent record over the host's boot (or leaves nothing of it), and what forgets it. Both wait for
  // the disk, so they are for the background thread; they share nothing with the registry.
  std::function<Done()> writing(const Vm& vm) const;
  std::function<Erased()> erasing(const std::string& name) const;
  // The same for another record of a VM; if that fails, the old one stays.
  std::function<Done()> rewriting(const Vm& vm, const VmRecord& record) const;

  // Looks up which socket the VM's path names now. For when its listener has been opened.
  void locate(Vm& vm);

  VmRef find(std::string_view name) const { return tables_.find(name); }
  // Only (local CID 2, peer CID > 2) is a guest of this host. Null if unknown.
  VmRef find_by_cid(std::uint32_t local_cid, std::uint32_t peer_cid) const;
  VmRef find_by_path(std::string_view path) const { return tables_.find_by_path(path); }
  // Sorted by name.
  const VmTables::ByName& all() const { return tables_.all(); }

  // Why a peer is refused and what to do: for peers that find_by_* does not know, and for one on the listener of `vm`
  // whose uid is not vmm_uid.
  static std::string refusal_text(const net::Peer& peer, const Vm* vm = nullptr);

 private:
  struct Replacement;

  std::uint64_t next_registration();
  VmRef make(const VmRecord& record, std::string origin, const Limits& defaults, std::string socket_key);
  // Nothing if the record may be added.
  std::optional<Refusal> refuse_new(const VmRecord& record) const;
  Done check_aliases(const VmRecord& record) const;
  Done write_entry(const Vm& vm) const;
  Done forget_entry(const Vm& vm);
  Done write_number();

  // The steps of a replacement (replacement.cc); true: done.
  struct Budget;
  bool copy_run_time(Budget& budget);
  bool take_files(Budget& budget);
  void take_file(FileRecord& file);
  bool find_removed(Budget& budget);
  void note_first_commit();
  bool set_limits(Budget& budget);
  bool set_origins(Budget& budget);
  bool write_entries(Budget& budget);
  bool remove_entries(Budget& budget);
  bool drop_old_tables(Budget& budget);
  void note_trouble(const Done& kept);

  RuntimeDirectory runtime_;
  StateDirectory state_;
  std::vector<OwnSocket> own_sockets_;
  Limits defaults_;
  std::uint64_t last_registration_ = 0;
  std::uint64_t written_registration_ = 0;                     // what the runtime directory says it is
  std::map<std::string, RuntimeDirectory::Entry> remembered_;  // from the runtime directory, until the first commit
  std::vector<VmRef> unwritten_;                               // not in the runtime directory yet, until then
  VmTables tables_;
  std::unique_ptr<Replacement> next_;  // the replacement on its way
  std::string trouble_;
};

}  // namespace hostcall::daemon
