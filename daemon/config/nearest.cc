#include "daemon/config/nearest.h"

#include <algorithm>
#include <vector>

namespace hostcall::daemon {
namespace {

// How many bytes must be inserted, removed, replaced or exchanged with their neighbours to make `a` of `b`, as far as
// that is at most `most`.
std::size_t distance(std::string_view a, std::string_view b, std::size_t most) {
  if (std::max(a.size(), b.size()) - std::min(a.size(), b.size()) > most) return most + 1;
  std::vector<std::size_t> earlier(b.size() + 1), last(b.size() + 1), row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 0; i < a.size(); ++i) {
    earlier.swap(last);
    last.swap(row);
    row[0] = i + 1;
    for (std::size_t j = 0; j < b.size(); ++j) {
      row[j + 1] = std::min({last[j] + (a[i] == b[j] ? 0 : 1), row[j] + 1, last[j + 1] + 1});
      const bool exchanged = i > 0 && j > 0 && a[i] == b[j - 1] && a[i - 1] == b[j];
      if (exchanged) row[j + 1] = std::min(row[j + 1], earlier[j - 1] + 1);
    }
    if (std::min(*std::ranges::min_element(last), *std::ranges::min_element(row)) > most) return most + 1;
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
