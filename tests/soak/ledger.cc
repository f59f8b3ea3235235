#include "tests/soak/ledger.h"

#include <charconv>

namespace hostcall::test {
namespace {

// Values have many sizes, and a few are large.
constexpr std::uint64_t kStride = 7919, kMostBytes = 3000, kLargeEvery = 61, kLargeBytes = 20'000;
constexpr std::uint64_t kDeleteEvery = 6;

std::size_t padding_of(std::uint64_t number) {
  return number % kLargeEvery == 0 ? kLargeBytes : number * kStride % kMostBytes;
}

std::string shared_folder(unsigned vm) { return "/shared/" + soak_vm(vm) + "/"; }

}  // namespace

std::string guest_folder(unsigned vm) { return has_namespace(vm) ? "/self/" : shared_folder(vm); }

std::string host_folder(unsigned vm) { return has_namespace(vm) ? "/vm/" + soak_vm(vm) + "/" : shared_folder(vm); }

std::optional<std::string> value_after(unsigned vm, unsigned key, std::uint64_t number) {
  if (number == 0 || number % kDeleteEvery == 0) return std::nullopt;
  return std::to_string(number) + " of " + soak_vm(vm) + ", key " + std::to_string(key) + " " +
         std::string(padding_of(number), 'x');
}

std::uint64_t number_of(std::string_view value) {
  std::uint64_t number = 0;
  std::from_chars(value.data(), value.data() + value.size(), number);
  return number;
}

KeyCheck::KeyCheck(const Ledger& ledger, unsigned vm, unsigned key)
    : state_(ledger.keys[vm][key]), vm_(vm), key_(key), from_(state_.acknowledged) {}

bool KeyCheck::allows(const std::optional<std::string>& value) const {
  const std::uint64_t to = state_.attempted;
  for (auto number = from_; number <= to; ++number)
    if (value_after(vm_, key_, number) == value) return true;
  return false;
}

}  // namespace hostcall::test
