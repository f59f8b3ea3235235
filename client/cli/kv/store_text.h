// What the store's verbs say alike.
#pragma once

#include <string>
#include <string_view>

#include "client/cli/exit_code.h"
#include "hostcall/v1/store.pb.h"

namespace hostcall::cli::kv {

// "persistent", "boot" or "session".
const char* lifetime_name(v1::Lifetime lifetime);
// Throws Failure for another name.
v1::Lifetime parse_lifetime(const std::string& name);

// "12 put /self/a 5 B".
std::string describe(const v1::Event& event);

// Exit code 1: the key does not exist.
Failure no_such_key(std::string_view key);

}  // namespace hostcall::cli::kv
