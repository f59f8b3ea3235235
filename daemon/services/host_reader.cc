#include "daemon/services/host_reader.h"

#include <algorithm>
#include <cerrno>

#include "daemon/services/stream_field.h"

namespace hostcall::daemon {
namespace {

// With its header it fits four times into the reactor's buffer.
constexpr std::size_t kMaxChunkBytes = 64 * 1024;

// A message leaves room for the VM's other output.
std::size_t chunk_bytes(const Caller& caller) {
  return caller.vm ? std::min<std::size_t>(kMaxChunkBytes, caller.vm->quota.limits().outbound_bytes / 2)
                   : kMaxChunkBytes;
}

}  // namespace

HostReader::HostReader(Reactor& reactor, const Caller& caller) : reactor_(reactor), chunk_bytes_(chunk_bytes(caller)) {}

std::size_t HostReader::message_bytes() const { return chunk_bytes_ + kFieldHeaderBytes; }

Result<HostReader::Found> HostReader::read(const HostFd& fd, unsigned number, Call& call) const {
  const auto buffer = reactor_.buffer().first(message_bytes());
  const auto got = fd.read(buffer.subspan(kFieldHeaderBytes));
  if (got < 0 && errno == EINTR) return Found{.bytes = 0, .more = true, .end = false};
  if (got < 0 && errno == EAGAIN) return Found{};
  if (got < 0) return Error::from_errno("read");
  if (got == 0) return Found{.bytes = 0, .more = false, .end = true};
  const auto bytes = static_cast<std::size_t>(got);
  const wire::Payload message(with_field_header(buffer, number, bytes));
  if (call.send(message) != wire::SendOutcome::kSent) return Error{0, "a message had no room"};
  // Less than fits: the rest comes with the next event.
  return Found{.bytes = bytes, .more = bytes == chunk_bytes_, .end = false};
}

}  // namespace hostcall::daemon
