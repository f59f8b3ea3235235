// The state that one daemon leaves to the next: a file in memory, sealed so that nobody can change it.
//
//   bytes 0-3    "HCST"
//   bytes 4-7    version of the format
//   bytes 8-11   the lowest version that a reader must know
//   bytes 12-15  how many descriptors belong to it
//   bytes 16-19  length of the state
//   bytes 20-23  CRC32C of bytes 0-19 and the state
//   bytes 24-    the state
//
// Integers are big-endian. A later version that earlier builds can read keeps this header, and its lowest version.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "proto/base/result.h"
#include "proto/base/unique_fd.h"

namespace hostcall::daemon {

inline constexpr std::size_t kMaxStateBytes = std::size_t{1} << 30;
// As many as in any process.
inline constexpr std::size_t kMaxHandedOver = std::size_t{1} << 20;

struct WrittenState {
  UniqueFd file;
  std::uint32_t checksum = 0;  // ties its carrier to it
};
// An error of ours if the state or the number of descriptors is too large.
Result<WrittenState> write_state(std::string_view state, std::size_t descriptors);

struct ReadState {
  std::string state;
  std::size_t descriptors = 0;
  std::uint32_t checksum = 0;
};
// Trusts nothing of the file: an error says what is wrong with it.
Result<ReadState> read_state(int file);

}  // namespace hostcall::daemon
