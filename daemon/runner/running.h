// Running: how many programs run, and whether one more may. The administrator's limits, whatever hostcalld thinks.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>

#include "daemon/config/service_record.h"
#include "proto/wire/status.h"

namespace hostcall::daemon {

inline constexpr std::size_t kMaxRunning = 1024;

class Running {
 public:
  // A place for one program, given back when this dies.
  class Place {
   public:
    Place() = default;
    Place(Place&& other) noexcept : running_(std::exchange(other.running_, nullptr)), key_(std::move(other.key_)) {}
    Place& operator=(Place&& other) noexcept;
    Place(const Place&) = delete;
    Place& operator=(const Place&) = delete;
    ~Place() { give_back(); }

   private:
    friend class Running;
    using Key = std::pair<std::string, std::string>;  // service and VM
    Place(Running& running, Key key) : running_(&running), key_(std::move(key)) {}
    void give_back();
    Running* running_ = nullptr;
    Key key_;
  };

  // Not OK: there is no place, and which limit says so. A program that was cancelled has its place until it is gone.
  wire::Status take(const ServiceRecord& service, const std::string& vm, Place& place);
  std::size_t count() const { return count_; }

 private:
  std::size_t count_ = 0;
  std::map<std::string, std::uint32_t> by_service_;
  std::map<Place::Key, std::uint32_t> by_vm_;
};

}  // namespace hostcall::daemon
