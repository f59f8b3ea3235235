// Waiting: see wait.h.
#include "client/cli/wait.h"

#include <algorithm>
#include <limits>

namespace hostcall::cli {

int milliseconds_until(TimePoint deadline) {
  if (deadline == TimePoint()) return 0;
  const auto left = std::chrono::ceil<milliseconds>(deadline - Clock::now()).count();
  return static_cast<int>(std::clamp<milliseconds::rep>(left, 0, std::numeric_limits<int>::max()));
}

bool wait_for(std::span<pollfd> descriptors, TimePoint deadline) {
  return ::poll(descriptors.data(), descriptors.size(), milliseconds_until(deadline)) != 0;
}

}  // namespace hostcall::cli
