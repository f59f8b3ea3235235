#include "tests/support/service_manager.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>

#include <utility>

namespace hostcall::test {

ServiceManager::ServiceManager(const ManagerOptions& options)
    : store_(directory_ / "notify", options.fd_store_max),
      bus_(directory_ / "bus", options.bus, options.fd_store_max),
      wake_(UniqueFd::adopt(::eventfd(0, EFD_CLOEXEC))) {
  if (!options.hangs) thread_ = std::jthread([this](const std::stop_token& stop) { serve(stop); });
}

ServiceManager::~ServiceManager() {
  thread_.request_stop();
  ::eventfd_write(wake_.get(), 1);
}

void ServiceManager::serve(const std::stop_token& stop) {
  while (!stop.stop_requested()) {
    std::vector<pollfd> waiting{{wake_.get(), POLLIN, 0}, {store_.descriptor(), POLLIN, 0}};
    {
      const std::lock_guard lock(mutex_);
      store_.process();
      bus_.process();
      for (const int fd : bus_.descriptors()) waiting.push_back({fd, POLLIN, 0});
    }
    changed_.notify_all();
    ::poll(waiting.data(), waiting.size(), -1);
  }
}

std::map<std::string, std::string> ServiceManager::environment() const {
  return {{"NOTIFY_SOCKET", directory_ / "notify"}, {"DBUS_SYSTEM_BUS_ADDRESS", "unix:path=" + (directory_ / "bus")}};
}

void ServiceManager::set_job(const std::string& type) {
  const std::lock_guard lock(mutex_);
  bus_.set_job(type);
}

void ServiceManager::begin_start() {
  const std::lock_guard lock(mutex_);
  store_.begin_start();
}

bool ServiceManager::wait_for_ready(std::chrono::milliseconds time) {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, time, [this] { return store_.is_ready(); });
}

std::string ServiceManager::seen() const {
  const std::lock_guard lock(mutex_);
  return store_.seen();
}

std::vector<StoredDescriptor> ServiceManager::stored() const {
  const std::lock_guard lock(mutex_);
  std::vector<StoredDescriptor> copies;
  for (const auto& one : store_.stored())
    copies.push_back({one.name, UniqueFd::adopt(::fcntl(one.fd.get(), F_DUPFD_CLOEXEC, 3)), one.is_polled});
  return copies;
}

std::vector<std::string> ServiceManager::stored_names() const {
  std::vector<std::string> names;
  for (const auto& one : stored()) names.push_back(one.name);
  return names;
}

void ServiceManager::drop_store() {
  const std::lock_guard lock(mutex_);
  store_.drop_all();
}

void ServiceManager::store(const std::string& name, UniqueFd fd) {
  std::vector<UniqueFd> descriptors;
  descriptors.push_back(std::move(fd));
  const std::lock_guard lock(mutex_);
  store_.store(name, false, std::move(descriptors));
}

}  // namespace hostcall::test
