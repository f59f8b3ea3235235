#include "daemon/vms/claims.h"

#include "daemon/vms/vm_tables.h"

namespace hostcall::daemon {

OwnSockets::OwnSockets(const std::vector<OwnSocket>& own) {
  for (const auto& socket : own) own_.try_emplace(keys_.key_of(socket.path), socket);
}

Done OwnSockets::check(const std::string& key, const std::string& path) const {
  const auto own = own_.find(key);
  if (own == own_.end()) return done();
  return path_taken(path, "hostcalld itself, as " + own->second.name, own->second.path);
}

Done Claims::claim(const VmRecord& record, const std::string& origin) {
  return claim_each(record, vm_text(record) + " (" + origin + ")").within(vm_text(record));
}

Done Claims::claim_each(const VmRecord& record, const std::string& owner) {
  HOSTCALL_TRY(take("the name \"" + record.name + "\"", owner));
  if (record.cid != 0) HOSTCALL_TRY(take("CID " + std::to_string(record.cid), owner));
  if (!record.unix_path.empty()) HOSTCALL_TRY(take_socket(record.unix_path, owner));
  return done();
}

Done Claims::take(const std::string& what, const std::string& owner) {
  const auto [at, is_new] = owners_.emplace(what, owner);
  if (is_new) return done();
  return Error{0, what + " is taken by " + at->second};
}

Done Claims::take_socket(const std::string& path, const std::string& owner) {
  HOSTCALL_TRY(own_.check(own_.keys().key_of(path), path));
  const auto [at, is_new] = sockets_.try_emplace(path, owner);
  if (is_new) return done();
  return path_taken(path, at->second, path);
}

}  // namespace hostcall::daemon
