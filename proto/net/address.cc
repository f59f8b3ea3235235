#include "proto/net/address.h"

#include <charconv>

namespace hostcall::net {
namespace {

constexpr std::string_view kForms = "write vsock:CID:PORT, vsock::PORT (any CID), unix:/path or unix:@name";
constexpr std::string_view kPeerForms = "write vsock:CID:PORT, unix:/path or unix:@name";

Error bad(std::string_view text, std::string_view reason) {
  return Error{0, "address \"" + std::string(text) + "\": " + std::string(reason)};
}

bool parse_number(std::string_view text, std::uint32_t& out) {
  const char* end = text.data() + text.size();
  auto [stop, error] = std::from_chars(text.data(), end, out);
  return error == std::errc{} && stop == end && !text.empty();
}

Result<Address> parse_vsock(std::string_view text, std::string_view rest) {
  const auto colon = rest.find(':');
  if (colon == std::string_view::npos) return bad(text, "the port is missing");
  Address address{.family = Address::Family::kVsock, .cid = kCidAny, .port = 0, .path = {}};
  const auto cid = rest.substr(0, colon);
  if (!cid.empty() && !parse_number(cid, address.cid)) return bad(text, "bad CID");
  if (!parse_number(rest.substr(colon + 1), address.port) || address.port == kCidAny) return bad(text, "bad port");
  return address;
}

// Empty: none.
std::string fault_of_path(std::string_view path) {
  if (!path.starts_with('/') && !path.starts_with('@')) return "a Unix socket path starts with / or @";
  if (path == "@") return "the name is empty";
  if (path == "/") return "the path names no file";
  if (path.size() > kMaxUnixPath)
    return "the path has " + std::to_string(path.size()) + " bytes, a socket path at most " +
           std::to_string(kMaxUnixPath);
  return path.find('\0') == std::string_view::npos ? "" : "the path has a NUL byte";
}

Result<Address> parse_unix(std::string_view text, std::string_view path) {
  if (const auto fault = fault_of_path(path); !fault.empty()) return bad(text, fault);
  return unix_address(path);
}

Result<Address> parse_any(std::string_view text) {
  constexpr std::string_view kVsockPrefix = "vsock:";
  constexpr std::string_view kUnixPrefix = "unix:";
  if (text.starts_with(kVsockPrefix)) return parse_vsock(text, text.substr(kVsockPrefix.size()));
  if (text.starts_with(kUnixPrefix)) return parse_unix(text, text.substr(kUnixPrefix.size()));
  return bad(text, "unknown kind");
}

Result<Address> with_forms(Result<Address> address, std::string_view forms) {
  if (address.ok()) return address;
  return Error{0, address.error().message() + "; " + std::string(forms)};
}

}  // namespace

Result<Address> Address::parse(std::string_view text) { return with_forms(parse_any(text), kForms); }

Result<Address> Address::parse_peer(std::string_view text) {
  auto address = parse_any(text);
  if (address.ok() && address->family == Family::kVsock && address->cid == kCidAny)
    address = bad(text, "a client needs a CID; the host's is 2");
  return with_forms(std::move(address), kPeerForms);
}

Result<Address> Address::at_path(std::string_view path) {
  if (const auto fault = fault_of_path(path); !fault.empty())
    return Error{0, "\"" + std::string(path) + "\": " + fault};
  return unix_address(path);
}

std::string Address::to_string() const {
  if (family == Family::kUnix) return "unix:" + path;
  return "vsock:" + (cid == kCidAny ? "" : std::to_string(cid)) + ":" + std::to_string(port);
}

}  // namespace hostcall::net
