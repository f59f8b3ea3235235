#include "daemon/quota.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>

namespace hostcall::daemon {
namespace {

constexpr std::array<const char*, kResources> kNames = {"connections", "streams", "memory_bytes", "outbound_bytes"};

// What rounding may have taken from a token that is there.
constexpr double kRounding = 1e-9;

[[noreturn]] void die(const char* what, Resource resource, std::uint64_t amount) {
  std::fprintf(stderr, "hostcalld: bug in the accounting of %s: %s (%llu)\n",
               kNames[static_cast<std::size_t>(resource)], what, static_cast<unsigned long long>(amount));
  std::abort();
}

std::uint64_t Limits::*limit_member(Resource resource) {
  switch (resource) {
    case Resource::kConnections: return &Limits::connections;
    case Resource::kStreams: return &Limits::streams;
    case Resource::kMemory: return &Limits::memory_bytes;
    case Resource::kOutbound: return &Limits::outbound_bytes;
  }
  die("unknown resource", resource, 0);
}

}  // namespace

Quota::~Quota() {
  for (std::size_t i = 0; i < kResources; ++i)
    if (used_[i] != 0) die("charged at the end of the quota", static_cast<Resource>(i), used_[i]);
}

std::uint64_t Quota::limit(Resource resource) const { return limits_.*limit_member(resource); }

std::uint64_t Quota::left(Resource resource) const {
  const auto bound = limit(resource);
  return bound - std::min(bound, used(resource));
}

bool Quota::take(Resource resource, std::uint64_t amount) {
  if (amount > left(resource)) return false;
  used_[static_cast<std::size_t>(resource)] += amount;
  return true;
}

void Quota::take_anyway(Resource resource, std::uint64_t amount) {
  used_[static_cast<std::size_t>(resource)] += amount;
}

void Quota::give(Resource resource, std::uint64_t amount) {
  if (amount > used(resource)) die("more given back than charged", resource, amount);
  used_[static_cast<std::size_t>(resource)] -= amount;
}

Charge& Charge::operator=(Charge&& other) noexcept {
  if (this == &other) return *this;
  reset();
  quota_ = other.quota_;
  resource_ = other.resource_;
  amount_ = std::exchange(other.amount_, 0);
  return *this;
}

bool Charge::try_grow(std::uint64_t amount) {
  if (quota_ != nullptr && !quota_->take(resource_, amount)) return false;
  amount_ += amount;
  return true;
}

void Charge::shrink(std::uint64_t amount) {
  if (amount == 0) return;
  if (amount > amount_) die("charge shrunk below zero", resource_, amount);
  if (quota_ != nullptr) quota_->give(resource_, amount);
  amount_ -= amount;
}

bool Charge::set(std::uint64_t amount) {
  if (amount <= amount_) {
    shrink(amount_ - amount);
    return true;
  }
  const auto more = amount - amount_;
  if (try_grow(more)) return true;
  quota_->take_anyway(resource_, more);
  amount_ = amount;
  return false;
}

double TokenBucket::left(TimePoint now) const {
  const std::chrono::duration<double> since = now - last_;
  return std::min(burst_, tokens_ + std::max(0.0, since.count()) * rate_);
}

Duration TokenBucket::take(TimePoint now) {
  tokens_ = left(now);
  last_ = std::max(last_, now);
  if (tokens_ >= 1 - kRounding) {
    tokens_ -= 1;
    return Duration::zero();
  }
  // Rounded up, so that a caller who waits that long is served.
  const double wait = std::ceil((1 - tokens_) / rate_ * static_cast<double>(Duration::period::den));
  return wait < static_cast<double>(Duration::max().count()) ? Duration(static_cast<Duration::rep>(wait))
                                                             : Duration::max();
}

}  // namespace hostcall::daemon
