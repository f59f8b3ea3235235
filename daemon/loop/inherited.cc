#include "daemon/loop/inherited.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <systemd/sd-daemon.h>

#include <cstdlib>
#include <utility>

#include "proto/base/escape.h"
#include "proto/net/socket.h"

namespace hostcall::daemon {
namespace {

struct NamedDescriptor {
  std::string name;
  UniqueFd fd;
};

// The names stay in the environment for sd_listen_fds_with_names() to unset, so children are told of none.
Result<std::vector<NamedDescriptor>> named_descriptors() {
  char** names = nullptr;
  const int count = sd_listen_fds_with_names(1, &names);
  if (count < 0) return Error{-count, "sd_listen_fds_with_names"};
  std::vector<NamedDescriptor> descriptors;
  for (int i = 0; i < count; ++i) {
    descriptors.push_back({names[i], UniqueFd::adopt(SD_LISTEN_FDS_START + i)});
    std::free(names[i]);
  }
  std::free(names);
  return descriptors;
}

// Who connects to a Unix socket learns who called listen() last. By that hostcalld tells its own sockets, to which it
// connects for no guest.
Done make_own(int listener) {
  if (::listen(listener, net::kBacklog) != 0) return Error::from_errno("listen on an inherited socket");
  return done();
}

Result<InheritedSocket> adopt_socket(UniqueFd fd) {
  // systemd passes blocking sockets, but accept() must not wait for a peer that has left.
  if (::fcntl(fd.get(), F_SETFL, O_NONBLOCK) != 0) return Error::from_errno("fcntl of an inherited socket");
  auto address = HOSTCALL_TRY(net::listening_address(fd.get()));
  net::refuse_descriptors(fd.get());
  if (address.family == net::Address::Family::kUnix) HOSTCALL_TRY(make_own(fd.get()));
  return InheritedSocket{std::move(fd), std::move(address)};
}

// A socket unit's default name is its own; systemd calls "unknown" what has none. Other names are those that
// FileDescriptorName= gives to a socket, or that another build of hostcalld has stored something under.
bool is_of_socket_unit(std::string_view name) { return name.ends_with(".socket") || name == "unknown"; }

}  // namespace

Result<Inherited> take_inherited() {
  Inherited inherited;
  for (auto& [name, fd] : HOSTCALL_TRY(named_descriptors())) {
    if (name == kStateName) {
      inherited.stored.states.push_back(std::move(fd));
    } else if (name == kCarrierName) {
      inherited.stored.carriers.push_back(std::move(fd));
    } else if (is_of_socket_unit(name) || net::listening_address(fd.get()).ok()) {
      inherited.sockets.push_back(HOSTCALL_TRY(adopt_socket(std::move(fd))));
    } else {
      inherited.warnings.push_back("systemd has passed " + in_quotes(name) +
                                   ", which is no listening stream socket and nothing that this build has stored; it "
                                   "is closed");
    }
  }
  return inherited;
}

}  // namespace hostcall::daemon
