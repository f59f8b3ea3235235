// What the store's verbs say alike: see store_text.h.
#include "client/cli/kv/store_text.h"

#include "client/cli/output.h"
#include "client/cli/text.h"
#include "proto/base/escape.h"
#include "proto/base/utf8.h"

namespace hostcall::cli::kv {

const char* lifetime_name(v1::Lifetime lifetime) {
  switch (lifetime) {
    case v1::LIFETIME_PERSISTENT: return "persistent";
    case v1::LIFETIME_BOOT: return "boot";
    case v1::LIFETIME_SESSION: return "session";
    default: return "unknown";
  }
}

v1::Lifetime parse_lifetime(const std::string& name, const KeySpace& keys) {
  for (const auto lifetime : {v1::LIFETIME_PERSISTENT, v1::LIFETIME_BOOT, v1::LIFETIME_SESSION})
    if (name == lifetime_name(lifetime) && (lifetime != v1::LIFETIME_BOOT || keys.has_boots())) return lifetime;
  const auto* known = keys.has_boots() ? "one of persistent, boot and session" : "persistent or session";
  throw usage("--lifetime " + in_quotes(name) + " is not " + known);
}

void warn_of_session_lifetime(const Invocation& invocation, const KeySpace& keys) {
  complain(invocation.program(),
           std::string("warning: a key of lifetime session goes when the connection that wrote it ends, which is when "
                       "this command ends; ") +
               (keys.has_boots() ? "use --lifetime boot, or " : "") +
               "write it from a program that stays connected (libhostcall)");
}

std::string describe(const v1::Event& event) {
  const auto& item = event.item();
  const auto head = std::to_string(item.mod_revision());
  if (event.kind() == v1::Event::KIND_DELETE) return head + " delete " + printable(item.key());
  return head + " put " + printable(item.key()) + " " + format_bytes(item.value().size());
}

std::string KeySpace::full(const std::string& key) const {
  if (!utf8::is_valid(key)) throw usage(in_quotes(key) + " is not a key: keys are UTF-8");
  return in_full(key);
}

Failure no_such_key(std::string_view key) { return {ExitCode::kNegative, "no such key: " + printable(key)}; }

}  // namespace hostcall::cli::kv
