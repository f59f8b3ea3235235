// Address: where a socket listens or connects, in the notation of systemd and ttrpc. Only text; socket.cc converts it
// to a sockaddr.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "proto/base/result.h"

namespace hostcall::net {

inline constexpr std::uint32_t kCidAny = 0xFFFFFFFFu;
inline constexpr std::uint32_t kCidHypervisor = 0;
inline constexpr std::uint32_t kCidLocal = 1;
inline constexpr std::uint32_t kCidHost = 2;
inline constexpr std::uint32_t kDefaultPort = 18499;  // 0x4843, "HC"
inline constexpr char kDefaultAddress[] = "vsock:2:18499";
// Ports below this one need CAP_NET_BIND_SERVICE in the guest.
inline constexpr std::uint32_t kPrivilegedPorts = 1024;
// The search for a privileged source port starts here, as in rresvport(3): services listen below.
inline constexpr std::uint32_t kFirstPrivilegedSource = 512;
// sun_path holds 108 bytes: a path ends with a NUL, an abstract name starts with one.
inline constexpr std::size_t kMaxUnixPath = 107;

struct Address {
  enum class Family { kVsock, kUnix };

  Family family = Family::kUnix;
  std::uint32_t cid = 0;   // kVsock; kCidAny in "vsock::PORT"
  std::uint32_t port = 0;  // kVsock
  std::string path;        // kUnix; an abstract name starts with '@'

  // Parses "vsock:CID:PORT", "vsock::PORT", "unix:/path" and "unix:@abstract". The error says what is wrong and shows
  // the valid forms.
  static Result<Address> parse(std::string_view text);
  // The same of a peer to connect to: "vsock::PORT" is none.
  static Result<Address> parse_peer(std::string_view text);

  // Of a Unix socket's path or abstract name alone.
  static Result<Address> at_path(std::string_view path);

  bool is_abstract() const { return family == Family::kUnix && path.starts_with('@'); }
  // The text that parse() takes.
  std::string to_string() const;
  bool operator==(const Address&) const = default;
};

// The address of a path or abstract name that has been checked already.
inline Address unix_address(std::string_view path) {
  return {.family = Address::Family::kUnix, .cid = 0, .port = 0, .path = std::string(path)};
}

}  // namespace hostcall::net
