// VM records as the vm verbs show them.
#pragma once

#include <string>

#include "hostcall/v1/admin.pb.h"

namespace hostcall::cli::host {

// "CID 42", "unix /run/…/web1.sock", or both.
std::string evidence_of(const v1::VmRecord& record);
// Of "NAME=VALUE". Throws Failure: wrong usage.
v1::LimitOverride parse_limit(const std::string& text);
// The record and its state, one field per line.
std::string describe(const v1::VmState& vm);

}  // namespace hostcall::cli::host
