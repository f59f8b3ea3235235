#include "daemon/handover/state_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <span>

#include "proto/base/bytes.h"
#include "proto/base/count.h"
#include "proto/wire/crc32c.h"

namespace hostcall::daemon {
namespace {

constexpr std::string_view kMagic = "HCST";
constexpr std::uint32_t kVersion = 1;
// What this build writes can be read from this version on.
constexpr std::uint32_t kLowestVersion = 1;
constexpr std::size_t kChecksumAt = 20;
constexpr std::size_t kHeaderBytes = 24;
// Nobody can change or cut the file while it is read, nor take the seals away.
constexpr int kSeals = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U
#endif

// Linux 6.3 has files in memory that can't be executed, and a sysctl that allows no others.
Result<UniqueFd> open_memory() {
  constexpr unsigned kFlags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
  auto file = UniqueFd::adopt(::memfd_create("hostcall-state", kFlags | MFD_NOEXEC_SEAL));
  if (!file && errno == EINVAL) file = UniqueFd::adopt(::memfd_create("hostcall-state", kFlags));
  if (!file) return Error::from_errno("memfd_create");
  return file;
}

Done write_all(int file, std::string_view bytes) {
  while (!bytes.empty()) {
    const auto written = ::write(file, bytes.data(), bytes.size());
    if (written < 0 && errno != EINTR) return Error::from_errno("write the state");
    if (written > 0) bytes.remove_prefix(static_cast<std::size_t>(written));
  }
  return done();
}

Done read_all(int file, std::size_t from, std::span<char> into) {
  while (!into.empty()) {
    const auto got = ::pread(file, into.data(), into.size(), static_cast<off_t>(from));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return Error::from_errno("read the state");
    if (got == 0) return Error{0, "the state ends early"};
    from += static_cast<std::size_t>(got);
    into = into.subspan(static_cast<std::size_t>(got));
  }
  return done();
}

std::string header_without_checksum(std::size_t state_bytes, std::size_t descriptors) {
  std::string header(kMagic);
  append_be32(header, kVersion);
  append_be32(header, kLowestVersion);
  append_be32(header, static_cast<std::uint32_t>(descriptors));
  append_be32(header, static_cast<std::uint32_t>(state_bytes));
  return header;
}

std::uint32_t checksum_of(std::string_view header, std::string_view state) {
  return wire::crc32c(wire::crc32c(0, header.substr(0, kChecksumAt)), state);
}

// The size of a file that can't change any more.
Result<std::size_t> sealed_size(int file) {
  const int seals = ::fcntl(file, F_GET_SEALS);
  if (seals < 0) return Error::from_errno("the state is no file in memory");
  if ((seals & kSeals) != kSeals) return Error{0, "the state is not sealed"};
  struct stat status {};
  if (::fstat(file, &status) != 0) return Error::from_errno("fstat of the state");
  return static_cast<std::size_t>(status.st_size);
}

// What the state's header says, for a file of this size.
Result<ReadState> checked_header(std::string_view header, std::size_t file_bytes) {
  if (!header.starts_with(kMagic)) return Error{0, "the state does not begin with \"HCST\""};
  const auto version = load_be32(&header[4]), lowest = load_be32(&header[8]);
  if (lowest > kVersion)
    return Error{0, "the state has version " + std::to_string(version) + ", which needs a build that knows version " +
                        std::to_string(lowest) + "; this one knows " + std::to_string(kVersion)};
  ReadState read{.state = {}, .descriptors = load_be32(&header[12]), .checksum = load_be32(&header[kChecksumAt])};
  if (read.descriptors > kMaxHandedOver)
    return Error{0, "the state names " + count(read.descriptors, "descriptor") + "; the most are " +
                        std::to_string(kMaxHandedOver)};
  const std::size_t length = load_be32(&header[16]), there = file_bytes - kHeaderBytes;
  if (length != there)
    return Error{0, "the state has " + count(there, "byte") + "; its header says " + std::to_string(length)};
  return read;
}

}  // namespace

Result<WrittenState> write_state(std::string_view state, std::size_t descriptors) {
  if (state.size() > kMaxStateBytes)
    return Error{0,
                 "the state has " + count(state.size(), "byte") + "; the most are " + std::to_string(kMaxStateBytes)};
  if (descriptors > kMaxHandedOver)
    return Error{0, count(descriptors, "descriptor") + " to hand over; the most are " + std::to_string(kMaxHandedOver)};
  auto header = header_without_checksum(state.size(), descriptors);
  WrittenState written{.file = HOSTCALL_TRY(open_memory()), .checksum = checksum_of(header, state)};
  append_be32(header, written.checksum);
  HOSTCALL_TRY(write_all(written.file.get(), header));
  HOSTCALL_TRY(write_all(written.file.get(), state));
  if (::fcntl(written.file.get(), F_ADD_SEALS, kSeals) != 0) return Error::from_errno("seal the state");
  return written;
}

Result<ReadState> read_state(int file) {
  const auto file_bytes = HOSTCALL_TRY(sealed_size(file));
  if (file_bytes < kHeaderBytes) return Error{0, "the state ends within its header"};
  if (file_bytes - kHeaderBytes > kMaxStateBytes)
    return Error{0, "the state has " + count(file_bytes, "byte") + "; the most are " + std::to_string(kMaxStateBytes)};
  std::string header(kHeaderBytes, '\0');
  HOSTCALL_TRY(read_all(file, 0, header));
  auto read = HOSTCALL_TRY(checked_header(header, file_bytes));
  read.state.resize(file_bytes - kHeaderBytes);
  HOSTCALL_TRY(read_all(file, kHeaderBytes, read.state));
  if (checksum_of(header, read.state) != read.checksum) return Error{0, "the state's checksum is wrong"};
  return read;
}

}  // namespace hostcall::daemon
