// The process's file descriptors, and who may use the last of them.
#pragma once

#include <cstddef>

namespace hostcall::daemon {

// Raises the soft limit of descriptors to the hard one, best effort.
void raise_descriptor_limit();

// Shares of the descriptors. The kernel always gives out the lowest free number, so a connection's own number tells how
// many are left: guests leave the highest to the administrator, and to the daemon's files.
class DescriptorShares {
 public:
  // For the limit that is in force now.
  DescriptorShares();
  explicit DescriptorShares(std::size_t limit);

  std::size_t limit() const { return limit_; }
  // A guest's connection with this number is admitted,
  bool admits(int fd) const { return static_cast<std::size_t>(fd) + 2 * reserve_ < limit_; }
  // or at least told that it is refused; if not, it is closed at once.
  bool answers(int fd) const { return static_cast<std::size_t>(fd) + reserve_ < limit_; }
  // How many refused connections each caller may hold while they wait for their first request.
  std::size_t refused_per_caller() const;

 private:
  std::size_t limit_;
  std::size_t reserve_;
};

}  // namespace hostcall::daemon
