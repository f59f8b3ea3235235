#include "client/lib/explain.h"

namespace hostcall::client {
namespace {

constexpr std::string_view kStartDaemon = "is hostcalld running there?";

std::string_view vsock_hint(int code, bool has_source) {
  switch (code) {
    case ECONNRESET:
    case ECONNREFUSED:
      return "nobody listens: is hostcalld running on the host? In the VM, hostcall doctor checks the driver";
    case ENODEV:
    case ENETUNREACH: return "this machine has no vsock device: give the VM one (vhost-vsock-pci)";
    case EAFNOSUPPORT: return "the kernel has no AF_VSOCK: load vmw_vsock_virtio_transport";
    case ETIMEDOUT: return "the host does not answer: has the VM just been restored or migrated?";
    case EADDRINUSE: return "another connection uses the source port";
    case EACCES:
      return has_source ? "a source port below 1024 needs CAP_NET_BIND_SERVICE: be root, outside any user namespace"
                        : "";
    default: return "";
  }
}

std::string_view unix_hint(int code) {
  switch (code) {
    case ENOENT: return "no such socket: is hostcalld running, and is the path right?";
    case ECONNREFUSED: return "nobody listens: is hostcalld running?";
    case EACCES: return "this user may not open the socket: be root or join its group";
    case EAGAIN: return "the listener's backlog is full: the host is overloaded";
    default: return "";
  }
}

std::string_view hint_for(int code, const ChannelOptions& options) {
  if (options.address.family != net::Address::Family::kVsock) return unix_hint(code);
  return vsock_hint(code, options.source_port != 0 || options.privileged_port);
}

}  // namespace

std::string explain_connect(const Error& error, const ChannelOptions& options) {
  const auto hint = hint_for(error.code, options);
  return error.message() + (hint.empty() ? "" : "; ") + std::string(hint);
}

std::string explain_silence(const ChannelOptions& options) {
  return "no answer to Hello from " + options.address.to_string() + " within " +
         std::to_string(std::chrono::ceil<milliseconds>(options.hello_timeout).count()) +
         " ms: " + std::string(kStartDaemon);
}

std::string explain_leaving(std::string_view goaway) {
  return goaway.empty() ? "the connection takes no more calls" : "the host ends the connection: " + std::string(goaway);
}

std::string explain_end(bool heard, std::string_view goaway) {
  if (!goaway.empty()) return explain_leaving(goaway);
  return heard ? "the connection ended without Goaway: the host's daemon or the VM's vsock was reset"
               : "the connection ended before any answer: " + std::string(kStartDaemon);
}

}  // namespace hostcall::client
