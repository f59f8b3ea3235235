// libprotobuf writes to standard error by itself, for example about each string that is not UTF-8: as often as a guest
// sends one, past the journal and its budget, and waiting for whoever reads it.
#pragma once

namespace hostcall {

// What it says of input is dropped: the call that brought the input is answered with a status. What it says before it
// ends the process goes to standard error if that takes it at once. For main, before any message is parsed.
void quiet_protobuf();

}  // namespace hostcall
