// What may clash: the sockets of hostcalld itself, and the names, CIDs and paths of records that are not registered
// yet.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "daemon/config/socket_keys.h"
#include "daemon/config/vm_record.h"
#include "proto/base/result.h"

namespace hostcall::daemon {

// Knows the sockets of hostcalld itself by what their paths name now.
class OwnSockets {
 public:
  explicit OwnSockets(const std::vector<OwnSocket>& own);

  // `key`: what the path names. The error names both.
  Done check(const std::string& key, const std::string& path) const;
  SocketKeys& keys() { return keys_; }

 private:
  SocketKeys keys_;
  std::map<std::string, OwnSocket> own_;  // by key
};

// The owners of names, CIDs and sockets. Records of files clash by the text of their paths: what a path names can
// change under them, by whoever may write to its directory, and must not keep the other VMs from their host. (A record
// that is added is compared by what its path names now.) The daemon's own sockets are compared so for all.
class Claims {
 public:
  explicit Claims(const std::vector<OwnSocket>& own) : own_(own) {}

  // `origin`: where the record comes from. The error says what is taken and by whom.
  Done claim(const VmRecord& record, const std::string& origin);
  SocketKeys& keys() { return own_.keys(); }

 private:
  Done claim_each(const VmRecord& record, const std::string& owner);
  Done take(const std::string& what, const std::string& owner);
  Done take_socket(const std::string& path, const std::string& owner);

  OwnSockets own_;
  std::map<std::string, std::string> owners_;   // by "the name …" or "CID …"
  std::map<std::string, std::string> sockets_;  // by path
};

}  // namespace hostcall::daemon
