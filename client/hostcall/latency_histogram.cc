// LatencyHistogram: see latency_histogram.h.
#include "client/hostcall/latency_histogram.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace hostcall::cli::guest {
namespace {

constexpr unsigned kBits = 6;
constexpr std::uint64_t kParts = std::uint64_t{1} << kBits;

// How far to shift the value right so that kBits + 1 bits are left.
unsigned shift_of(std::uint64_t value) {
  const auto width = static_cast<unsigned>(std::bit_width(value));
  return width > kBits + 1 ? width - kBits - 1 : 0;
}

std::size_t bucket_of(std::uint64_t value) {
  const auto shift = shift_of(value);
  return static_cast<std::size_t>(shift * kParts + (value >> shift));
}

// The largest value of a bucket.
std::uint64_t end_of(std::size_t bucket) {
  const auto shift = bucket < 2 * kParts ? 0 : bucket / kParts - 1;
  return ((bucket - shift * kParts + 1) << shift) - 1;
}

}  // namespace

void LatencyHistogram::add(nanoseconds time) {
  const auto bucket = bucket_of(static_cast<std::uint64_t>(std::max<std::int64_t>(time.count(), 0)));
  if (bucket >= buckets_.size()) buckets_.resize(bucket + 1);
  ++buckets_[bucket];
  ++count_;
  min_ = std::min(min_, time);
  max_ = std::max(max_, time);
}

nanoseconds LatencyHistogram::percentile(double percent) const {
  const auto rank = std::max(std::ceil(percent / 100 * static_cast<double>(count_)), 1.0);
  std::uint64_t seen = 0;
  std::size_t bucket = 0;
  while (static_cast<double>(seen += buckets_[bucket]) < rank) ++bucket;
  return std::min(nanoseconds(end_of(bucket)), max_);
}

}  // namespace hostcall::cli::guest
