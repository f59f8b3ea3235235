// What the store's verbs say alike: see store_text.h.
#include "client/cli/kv/store_text.h"

#include "client/cli/text.h"
#include "proto/base/escape.h"

namespace hostcall::cli::kv {

const char* lifetime_name(v1::Lifetime lifetime) {
  switch (lifetime) {
    case v1::LIFETIME_PERSISTENT: return "persistent";
    case v1::LIFETIME_BOOT: return "boot";
    case v1::LIFETIME_SESSION: return "session";
    default: return "unknown";
  }
}

v1::Lifetime parse_lifetime(const std::string& name) {
  for (const auto lifetime : {v1::LIFETIME_PERSISTENT, v1::LIFETIME_BOOT, v1::LIFETIME_SESSION})
    if (name == lifetime_name(lifetime)) return lifetime;
  throw usage("--lifetime " + in_quotes(name) + " is not persistent, boot or session");
}

std::string describe(const v1::Event& event) {
  const auto& item = event.item();
  const auto head = std::to_string(item.mod_revision());
  if (event.kind() == v1::Event::KIND_DELETE) return head + " delete " + printable(item.key());
  return head + " put " + printable(item.key()) + " " + format_bytes(item.value().size());
}

Failure no_such_key(std::string_view key) { return {ExitCode::kNegative, "no such key: " + printable(key)}; }

}  // namespace hostcall::cli::kv
