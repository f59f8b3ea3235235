// Rule: one entry of a policy file, and the call that rules decide.
//
// A file of policy.d: {"rules": [{"vms": ["web1", "tag:web", "*"], "calls": ["hostcall.v1.Host/Info"],
//   "resources": ["/self/*"], "require": ["privileged-port"], "action": "allow", "rate": 10, "burst": 20, "audit":
//   true}]}
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/config/json_file.h"

namespace hostcall::daemon {

// How patterns of VMs and calls begin and end.
inline constexpr std::string_view kTagPrefix = "tag:";
inline constexpr std::string_view kAny = "*";

struct Rule {
  std::vector<std::string> vms;        // names, "tag:NAME", or "*"
  std::vector<std::string> calls;      // "pkg.Service/Method", "pkg.Service/*" or "*"
  std::vector<std::string> resources;  // globs; empty: any resource
  bool require_privileged_port = false;
  bool allow = false;
  double rate = 0;            // calls per second for each VM; 0: not limited
  double burst = 0;           // at least 1 if rate is set
  std::optional<bool> audit;  // whether to record the calls that it allows; nothing: as the method has it
  std::string file;           // the rule's place
  unsigned line = 0;
  std::uint32_t index = 0;        // position among all rules, from 0
  std::uint64_t fingerprint = 0;  // of all that the rule says, without its place; only if rate is set

  // "FILE:LINE", with the whole path.
  std::string place() const { return file + ":" + std::to_string(line); }
  // The same without the file's directory, for guests.
  std::string short_place() const;
};

// The call that policy decides.
struct CallQuery {
  std::string_view method;    // "hostcall.v1.Host/Info"
  std::string_view resource;  // empty: the call has none
  bool privileged_port = false;
};

// Whether the text is [A-Za-z_][A-Za-z0-9_]*, the form of names in protobuf and of variables of an environment.
bool is_identifier(std::string_view text);
// Whether the text is identifiers with dots between them, the form of a service's name: "acme.v1.Inventory".
bool is_full_name(std::string_view text);

// Reads one rule. Throws ConfigError.
Rule read_rule(const JsonValue& object);

// The patterns that match a method: its name, "pkg.Service/*" and "*".
std::vector<std::string> call_patterns(std::string_view method);

}  // namespace hostcall::daemon
