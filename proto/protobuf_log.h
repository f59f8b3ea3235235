// libprotobuf writes to standard error on its own, for example for each string that is not UTF-8: as often as a guest
// sends one, past the journal and its budget, and blocking.
#pragma once

namespace hostcall {

// Drops libprotobuf's messages about input, whose call gets a status anyway. A message before it aborts goes to
// standard error if that does not block. For main, before any message is parsed.
void quiet_protobuf();

}  // namespace hostcall
