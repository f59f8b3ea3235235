// Bursts: what a script sends again and again, in blocks that fill a socket.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

namespace hostcall::test {

inline constexpr std::size_t kBlockBytes = 64 * 1024;

using Burst = std::function<std::string(std::uint32_t& stream)>;

// The same frames, which belong to no new call.
inline Burst block_of(const std::string& frames) {
  std::string block;
  while (block.size() + frames.size() <= kBlockBytes || block.empty()) block += frames;
  return [block](std::uint32_t&) { return block; };
}

// Calls: `frames(stream)` begins one with this number.
template <class Frames>
Burst block_of_calls(const Frames& frames) {
  return [frames](std::uint32_t& stream) {
    std::string block;
    for (std::size_t last = 0; block.empty() || block.size() + last <= kBlockBytes; stream += 2) {
      const auto before = block.size();
      block += frames(stream);
      last = block.size() - before;
    }
    return block;
  };
}

}  // namespace hostcall::test
