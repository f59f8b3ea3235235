// PingStatistics: see ping_statistics.h.
#include "client/hostcall/ping_statistics.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "client/cli/text.h"

namespace hostcall::cli::guest {
namespace {

constexpr double kMedian = 50;
constexpr double kP99 = 99;

double to_ms(nanoseconds time) { return static_cast<double>(time.count()) / 1e6; }

}  // namespace

void PingStatistics::received(nanoseconds time) { times_.insert(std::ranges::upper_bound(times_, time), time); }

nanoseconds PingStatistics::percentile(double percent) const {
  const auto rank = std::ceil(percent / 100 * static_cast<double>(times_.size()));
  return times_[rank < 1 ? 0 : static_cast<std::size_t>(rank) - 1];
}

double PingStatistics::loss_percent() const {
  if (transmitted_ == 0) return 0;
  return 100 * static_cast<double>(transmitted_ - times_.size()) / static_cast<double>(transmitted_);
}

std::string PingStatistics::to_text(std::string_view peer) const {
  auto text = "\n--- " + std::string(peer) + " ping statistics ---\n" + std::to_string(transmitted_) +
              " transmitted, " + std::to_string(times_.size()) + " received, " + fixed(loss_percent(), 0) + "% loss\n";
  if (times_.empty()) return text;
  text += "rtt min/median/p99/max = ";
  for (const auto time : {times_.front(), percentile(kMedian), percentile(kP99)}) text += fixed(to_ms(time), 3) + "/";
  return text + fixed(to_ms(times_.back()), 3) + " ms\n";
}

std::string PingStatistics::to_json(std::string_view vm, std::string_view host) const {
  nlohmann::ordered_json report = {{"vm", vm},
                                   {"host", host},
                                   {"transmitted", transmitted_},
                                   {"received", times_.size()},
                                   {"lossPercent", loss_percent()}};
  for (const auto* key : {"minMs", "medianMs", "p99Ms", "maxMs"}) report[key] = nullptr;
  if (!times_.empty()) {
    report["minMs"] = to_ms(times_.front());
    report["medianMs"] = to_ms(percentile(kMedian));
    report["p99Ms"] = to_ms(percentile(kP99));
    report["maxMs"] = to_ms(times_.back());
  }
  return report.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

}  // namespace hostcall::cli::guest
