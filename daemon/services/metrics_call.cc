#include "daemon/services/metrics_call.h"

namespace hostcall::daemon {
namespace {

// Of a message, or a little more.
constexpr std::size_t kPartBytes = 32 * 1024;

}  // namespace

void MetricsCall::send_on() {
  for (;;) {
    auto& text = *part_.mutable_text();
    while (text.size() < kPartBytes && text_.append_next(text)) {
    }
    if (text.empty()) return call().finish({});
    if (call().send(part_) != wire::SendOutcome::kSent) return;
    text.clear();
  }
}

}  // namespace hostcall::daemon
