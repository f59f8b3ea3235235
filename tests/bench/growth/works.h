// What is measured against the number of VMs, rules, keys, watches or calls. Each work prints one line of JSON; the
// exponents are lib/growth.py's business. The usage is in main.cc.
#pragma once

#include <string>

#include "tests/bench/growth/target.h"

namespace hostcall::bench {

// vms.cc
void add_vms(const Target& target, unsigned count);
void first_sessions(const Target& target, unsigned first, unsigned count);
void reload(const Target& target);

// keys.cc
void fill(const Target& target, unsigned keys, unsigned value_bytes);
void list_keys(const Target& target, unsigned times);
void snapshot(const Target& target);
void end_session(const Target& target, unsigned keys);
void end_boot(const Target& target, unsigned keys);
void purge(const Target& target, unsigned keys, unsigned value_bytes);

// ends.cc
void close_watches(const Target& target, unsigned count);
void close_calls(const Target& target, unsigned count);

}  // namespace hostcall::bench
