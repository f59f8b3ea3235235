// Waiting: see wait.h.
#include "client/cli/wait.h"

#include <algorithm>
#include <limits>

namespace hostcall::cli {

bool wait_for(std::span<pollfd> descriptors, TimePoint deadline) {
  const auto left = std::chrono::ceil<milliseconds>(deadline - Clock::now()).count();
  const auto ms = std::clamp<milliseconds::rep>(left, 0, std::numeric_limits<int>::max());
  return ::poll(descriptors.data(), descriptors.size(), static_cast<int>(ms)) != 0;
}

}  // namespace hostcall::cli
