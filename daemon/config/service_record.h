// ServiceRecord: an administrator's description of a program, a socket or a server of the host that VMs may use, from a
// file in services.d.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "daemon/config/pattern.h"
#include "daemon/config/service_descriptors.h"
#include "proto/base/clock.h"

namespace hostcall::daemon {

inline constexpr std::size_t kMaxArguments = 64;

// A program, for Run/Start.
struct ProgramService {
  std::vector<std::string> command;                // an absolute path and arguments, with placeholders
  std::vector<Pattern> arguments;                  // that callers may append, one for each position
  bool rest = false;                               // the last pattern is for any number of further ones
  bool dashes = false;                             // an argument may begin with "-"
  std::map<std::string, std::string> environment;  // values with placeholders
  std::string directory;                           // in which it runs; empty: /
  Duration timeout{};                              // 0: none
  double start_rate = 10, start_burst = 20;        // of each VM, per second
  std::map<std::string, std::string> properties;   // of its unit, by systemd's names; see unit_properties.h
};

// What a socket service is told before the caller's bytes.
enum class Preface : std::uint8_t { kNone, kQrexec, kProxyV2 };

// A socket, for Relay/Open.
struct SocketService {
  std::string unix_path;  // absolute, or "@abstract"; empty: TCP
  std::string tcp_host;   // 127.0.0.1 or ::1
  std::uint16_t tcp_port = 0;
  Preface preface = Preface::kNone;
  Duration idle_timeout{};                 // 0: none
  std::uint64_t max_bytes = 0;             // of one connection, both ways together; 0: any number
  double start_rate = 0, start_burst = 1;  // connections of each VM, per second; 0: any number

  // "unix:/path" or "tcp:127.0.0.1:5000".
  std::string address() const;
};

// Whether callers' metadata of this key is never passed on, because its name is hostcall's: "hostcall-…", however it is
// spelt.
bool is_own_metadata(std::string_view key);

// What the server of a routed service speaks.
enum class Protocol : std::uint8_t {
  kTtrpc,     // ttrpc alone: each connection has one call at a time, because closing it is the only way to cancel
  kHostcall,  // with the extension: all calls share a connection
};

// A ttrpc server of the host, which serves a service of its own .proto.
struct RoutedService {
  std::string unix_path;  // absolute, or "@abstract"
  Protocol protocol = Protocol::kTtrpc;
  bool streaming = false;                       // the server takes streams
  std::vector<std::string> metadata;            // keys of callers' metadata that it gets; "acme-*": all with that start
  std::optional<ServiceDescriptors> described;  // nothing: its methods are not known

  std::string address() const { return "unix:" + unix_path; }
  // Whether it gets the caller's metadata of this key, which is in lower case.
  bool takes_metadata(std::string_view key) const;
};

struct ServiceRecord {
  std::string name;  // [a-z0-9][a-z0-9_.-]{0,63}; of a routed service, that of its .proto: "acme.v1.Inventory"
  std::variant<ProgramService, SocketService, RoutedService> kind;
  // Whose program it is, or who connects. Empty: for a program, a user of its own that exists only while it runs
  // (DynamicUser); for a socket or a server, hostcalld itself.
  std::string user;
  std::uint32_t concurrent = 0;         // calls at once, of all VMs
  std::uint32_t concurrent_per_vm = 0;  // and of each
  std::string digest;                   // SHA-256 of the entry, hexadecimal
  std::string file;                     // the entry's place
  unsigned line = 0;

  const ProgramService* program() const { return std::get_if<ProgramService>(&kind); }
  const SocketService* socket() const { return std::get_if<SocketService>(&kind); }
  const RoutedService* routed() const { return std::get_if<RoutedService>(&kind); }
  // "a program", "a socket" or "a server".
  const char* kind_text() const;
  // Of a routed service: its methods by name, sorted, "acme.v1.Inventory/List"; "acme.v1.Inventory/*" if they are not
  // known. Of others: none.
  std::vector<std::string> method_names() const;
  std::string place() const { return file + ":" + std::to_string(line); }
};

// What the placeholders {vm}, {uuid} and {service} stand for. {{ and }} are braces.
struct PlaceholderValues {
  std::string_view vm, uuid, service;
};
// Refuses other placeholders, and a brace alone.
Done check_placeholders(std::string_view text);
// Of a text that has been checked.
std::string filled_in(std::string_view text, const PlaceholderValues& values);

// Refuses arguments that the program does not take. The error names the position and the pattern.
Done check_arguments(const ProgramService& program, const std::vector<std::string>& arguments);

}  // namespace hostcall::daemon
