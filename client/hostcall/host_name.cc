// See host_name.h.
#include "client/hostcall/host_name.h"

#include "client/cli/text.h"
#include "hostcall/v1/host.hostcall.h"

namespace hostcall::cli::guest {

std::string host_name(Invocation& invocation) {
  const auto host = invocation.reply_of<v1::Host::Info>();
  return printable(host.ok() ? host->host_name() : invocation.common().address);
}

}  // namespace hostcall::cli::guest
