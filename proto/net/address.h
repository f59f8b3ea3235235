// Address: where a socket listens or connects, written as systemd and ttrpc users
// write it. Text only; socket.cc turns it into a sockaddr.
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
// Privileged source ports are searched from here up, as rresvport(3) does: below are those that services listen on.
inline constexpr std::uint32_t kFirstPrivilegedSource = 512;
// sun_path holds 108 bytes; a path needs a NUL at its end, an abstract name a NUL in front.
inline constexpr std::size_t kMaxUnixPath = 107;

struct Address {
  enum class Family { kVsock, kUnix };

  Family family = Family::kUnix;
  std::uint32_t cid = 0;   // kVsock; kCidAny in "vsock::PORT"
  std::uint32_t port = 0;  // kVsock
  std::string path;        // kUnix; an abstract name starts with '@'

  // Parses "vsock:CID:PORT", "vsock::PORT", "unix:/path" and "unix:@abstract". The
  // error says what is wrong with the text and shows the forms.
  static Result<Address> parse(std::string_view text);

  bool is_abstract() const { return family == Family::kUnix && path.starts_with('@'); }
  // The text that parse() takes.
  std::string to_string() const;
  bool operator==(const Address&) const = default;
};

}  // namespace hostcall::net
