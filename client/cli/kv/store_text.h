// What the store's verbs say alike.
#pragma once

#include <string>
#include <string_view>

#include "client/cli/exit_code.h"
#include "client/cli/invocation.h"
#include "client/cli/kv/key_space.h"
#include "hostcall/v1/store.pb.h"

namespace hostcall::cli::kv {

// "persistent", "boot" or "session".
const char* lifetime_name(v1::Lifetime lifetime);
// Throws Failure for another name, and for "boot" where no key can end so.
v1::Lifetime parse_lifetime(const std::string& name, const KeySpace& keys);

// Says on standard error that a key of lifetime "session" ends with the command that writes it.
void warn_of_session_lifetime(const Invocation& invocation, const KeySpace& keys);

// "12 put /self/a 5 B".
std::string describe(const v1::Event& event);

// Exit code 1: the key does not exist.
Failure no_such_key(std::string_view key);

}  // namespace hostcall::cli::kv
