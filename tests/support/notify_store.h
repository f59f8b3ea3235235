// NotifyStore: the socket that $NOTIFY_SOCKET names, and the descriptors that a service has stored there, as
// sd_notify(3) and systemd's service manager have them.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "proto/base/unique_fd.h"

namespace hostcall::test {

struct StoredDescriptor {
  std::string name;
  UniqueFd fd;
  bool is_polled = true;  // it goes when its peer has gone
};

class NotifyStore {
 public:
  // `most`: FileDescriptorStoreMax=.
  NotifyStore(const std::string& path, std::size_t most);

  int descriptor() const { return socket_.get(); }
  // Handles what has come.
  void process();

  // Whether READY=1 has come since the last start.
  bool is_ready() const { return is_ready_; }
  void begin_start() { is_ready_ = false; }
  // All messages, a line for each assignment.
  const std::string& seen() const { return seen_; }
  const std::vector<StoredDescriptor>& stored() const { return stored_; }
  void drop_all() { stored_.clear(); }
  // As if a service had sent it.
  void store(const std::string& name, bool is_polled, std::vector<UniqueFd> descriptors);

 private:
  void handle(std::string_view text, std::vector<UniqueFd> descriptors);

  UniqueFd socket_;
  std::size_t most_;
  bool is_ready_ = false;
  std::string seen_;
  std::vector<StoredDescriptor> stored_;
};

}  // namespace hostcall::test
