// ServiceManager: what a service sees of systemd: its notify socket with the store of descriptors, and D-Bus. A thread
// serves both, so that whoever waits for systemd may be the test itself.
#pragma once

#include <condition_variable>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/notify_store.h"
#include "tests/support/systemd_bus.h"
#include "tests/support/temp_dir.h"

namespace hostcall::test {

struct ManagerOptions {
  std::size_t fd_store_max = 64;  // 0: as a unit without FileDescriptorStoreMax=
  BusKind bus = BusKind::kGood;
  bool hangs = false;  // handles nothing at all
};

class ServiceManager {
 public:
  explicit ServiceManager(const ManagerOptions& options = {});
  ~ServiceManager();
  ServiceManager(const ServiceManager&) = delete;
  ServiceManager& operator=(const ServiceManager&) = delete;

  // What the service needs to find both.
  std::map<std::string, std::string> environment() const;
  void set_job(const std::string& type);

  void begin_start();
  // Whether READY=1 has come since begin_start().
  bool wait_for_ready(std::chrono::milliseconds time);
  std::string seen() const;
  // In their order; with copies of the descriptors.
  std::vector<StoredDescriptor> stored() const;
  std::vector<std::string> stored_names() const;
  void drop_store();
  // As if a service had stored it.
  void store(const std::string& name, UniqueFd fd);

 private:
  void serve(const std::stop_token& stop);

  TempDir directory_;
  mutable std::mutex mutex_;  // of all below
  std::condition_variable changed_;
  NotifyStore store_;
  SystemdBus bus_;
  UniqueFd wake_;
  std::jthread thread_;
};

}  // namespace hostcall::test
