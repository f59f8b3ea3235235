// The admin socket: see admin_socket.h.
#include "client/hostcallctl/admin_socket.h"

#include <unistd.h>

#include <cerrno>

#include "client/cli/text.h"
#include "proto/net/address.h"

namespace hostcall::cli::host {

Failure explain_access(Failure failure, const Common& common) {
  const auto address = net::Address::parse(common.address);
  const bool unreachable = failure.code == ExitCode::kUnreachable && address.ok() && !address.value().is_abstract();
  if (!unreachable || ::access(address.value().path.c_str(), W_OK) == 0 || errno != EACCES) return failure;
  return {ExitCode::kDenied,
          "this user may not open " + printable(address.value().path) +
              ": be root or a member of group hostcall (usermod -aG hostcall USER, then log in again)"};
}

}  // namespace hostcall::cli::host
