#include "daemon/config/nearest.h"

#include <algorithm>
#include <utility>
#include <vector>

namespace hostcall::daemon {
namespace {

// How many bytes must be inserted, removed or replaced to make `a` of `b`, as far as that is at most `most`.
std::size_t distance(std::string_view a, std::string_view b, std::size_t most) {
  if (std::max(a.size(), b.size()) - std::min(a.size(), b.size()) > most) return most + 1;
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t i = 0; i <= b.size(); ++i) row[i] = i;
  for (std::size_t i = 0; i < a.size(); ++i) {
    auto diagonal = std::exchange(row[0], i + 1);
    auto least = row[0];
    for (std::size_t j = 0; j < b.size(); ++j) {
      const auto replaced = diagonal + (a[i] == b[j] ? 0 : 1);
      diagonal = std::exchange(row[j + 1], std::min({replaced, row[j] + 1, row[j + 1] + 1}));
      least = std::min(least, row[j + 1]);
    }
    if (least > most) return least;
  }
  return row[b.size()];
}

}  // namespace

std::string nearest(std::string_view wrong, const std::set<std::string, std::less<>>& names) {
  auto most = std::max<std::size_t>(1, std::min<std::size_t>(3, wrong.size() / 3));
  std::string best;
  for (const auto& name : names) {
    const auto found = distance(wrong, name, most);
    if (found > most) continue;
    best = name;
    if (found <= 1) return best;
    most = found - 1;
  }
  return best;
}

}  // namespace hostcall::daemon
