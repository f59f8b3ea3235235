// What all fuzz targets share: a check that ends the process, and fuzzer bytes turned into choices.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <iterator>
#include <string_view>

// libFuzzer's entry; replay_main.cc calls it for each file of a corpus.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size);

namespace hostcall::fuzz {

// An invariant of the code under test. Stays in every build, unlike assert().
inline void require(bool holds, const char* invariant) {
  if (holds) return;
  std::fprintf(stderr, "broken invariant: %s\n", invariant);
  std::abort();
}

// Fuzzer bytes, taken from the front. Once they are used up, every choice is 0.
class Choices {
 public:
  Choices(const std::uint8_t* bytes, std::size_t size) : rest_(reinterpret_cast<const char*>(bytes), size) {}

  bool empty() const { return rest_.empty(); }
  std::uint8_t byte() { return rest_.empty() ? std::uint8_t{0} : static_cast<std::uint8_t>(take(1)[0]); }
  // Up to 255 bytes as they are.
  std::string_view text() { return take(byte()); }
  // One of a list, which must not be empty.
  template <class List>
  const auto& of(const List& list) {
    return *std::next(std::begin(list), byte() % static_cast<std::ptrdiff_t>(std::size(list)));
  }
  // A number at an edge of some type, or a small one.
  std::uint64_t number() {
    constexpr std::uint64_t kEdges[] = {
        0x7F,        0x80,        0xFF,          0x100,           0x7FFF'FFFF,        0x80000000,
        0xFFFF'FFFE, 0xFFFF'FFFF, 0x1'0000'0000, UINT64_MAX >> 1, ~(UINT64_MAX >> 1), UINT64_MAX - 1,
        UINT64_MAX};
    const std::size_t choice = byte();
    constexpr std::size_t kSmall = 256 - std::size(kEdges);
    return choice < kSmall ? choice : kEdges[choice - kSmall];
  }
  std::string_view take(std::size_t bytes) {
    const auto taken = rest_.substr(0, bytes);
    rest_.remove_prefix(taken.size());
    return taken;
  }
  std::string_view rest() { return take(rest_.size()); }

 private:
  std::string_view rest_;
};

// A target's whole run: a Script made from the choices takes steps as long as there are any, and then ends.
template <class Script>
int play(const std::uint8_t* bytes, std::size_t size, void (Script::*end)()) {
  Choices choices(bytes, size);
  Script script(choices);
  while (!choices.empty()) script.step();
  (script.*end)();
  return 0;
}

}  // namespace hostcall::fuzz
