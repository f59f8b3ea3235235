// The directory that hostcalld makes for one VM, so that a VMM under a user of its own can have its socket there. A
// hybrid VMM (Firecracker, vhost-device-vsock) makes a socket at its uds_path and connects to "uds_path_PORT" beside
// it.
#pragma once

#include <sys/types.h>

#include <string>

#include "daemon/config/vm_record.h"
#include "proto/base/result.h"

namespace hostcall::daemon {

// The record with the listener that it gets if it has only a vmm_uid: RUNTIME_DIRECTORY/vm/NAME/vsock.sock_18499.
VmRecord with_own_directory(VmRecord record, const std::string& runtime_directory);

// Whether the record has the listener that with_own_directory() gives.
bool has_own_directory(const VmRecord& record, const std::string& runtime_directory);

// Makes the directory of such a record, or gives it to another user. The daemon owns it; an ACL lets the VMM's user
// make files, and because it is sticky, that user can't replace the daemon's socket. Needs no privilege, but a file
// system with ACLs. The error says what failed.
Done make_own_directory(const VmRecord& record);

// Removes the directory if nothing is left in it; a VMM that was killed leaves its socket.
void remove_own_directory(const VmRecord& record);

// The uds_path to give to the VMM: the path of the listener without "_18499". Empty: the path does not end so.
std::string uds_path_of(const VmRecord& record);

}  // namespace hostcall::daemon
