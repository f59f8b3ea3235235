#include "tests/support/notify_store.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>

#include <array>
#include <stdexcept>
#include <utility>

#include "daemon/loop/descriptor_message.h"

namespace hostcall::test {
namespace {

// The value of a line "NAME=value"; `other` if there is none.
std::string value_of(std::string_view text, std::string_view name, std::string_view other) {
  for (std::size_t at = 0; at < text.size();) {
    const auto end = std::min(text.find('\n', at), text.size());
    const auto line = text.substr(at, end - at);
    if (line.starts_with(name) && line.substr(name.size()).starts_with('='))
      return std::string(line.substr(name.size() + 1));
    at = end + 1;
  }
  return std::string(other);
}

bool has_ended(const StoredDescriptor& stored) {
  pollfd peer{stored.fd.get(), 0, 0};
  return stored.is_polled && ::poll(&peer, 1, 0) > 0;
}

}  // namespace

NotifyStore::NotifyStore(const std::string& path, std::size_t most)
    : socket_(UniqueFd::adopt(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0))), most_(most) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  if (::bind(socket_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0)
    throw std::runtime_error("can't bind " + path);
}

void NotifyStore::process() {
  for (;;) {
    std::array<char, 4096> buffer;
    iovec piece{buffer.data(), buffer.size()};
    daemon::DescriptorRoom<daemon::kMaxMessageDescriptors> room;
    msghdr message{};
    message.msg_iov = &piece;
    message.msg_iovlen = 1;
    message.msg_control = room.bytes.data();
    message.msg_controllen = room.bytes.size();
    const auto got = ::recvmsg(socket_.get(), &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (got < 0) break;
    handle({buffer.data(), static_cast<std::size_t>(got)}, daemon::take_descriptors(message));
  }
  std::erase_if(stored_, has_ended);
}

// The descriptors of a BARRIER=1 are closed here, as all others that nobody keeps.
void NotifyStore::handle(std::string_view text, std::vector<UniqueFd> descriptors) {
  seen_.append(text).append("\n");
  if (value_of(text, "READY", "") == "1") is_ready_ = true;
  const auto name = value_of(text, "FDNAME", "stored");
  if (value_of(text, "FDSTOREREMOVE", "") == "1")
    std::erase_if(stored_, [&](const StoredDescriptor& one) { return one.name == name; });
  else if (value_of(text, "FDSTORE", "") == "1")
    store(name, value_of(text, "FDPOLL", "1") != "0", std::move(descriptors));
}

void NotifyStore::store(const std::string& name, bool is_polled, std::vector<UniqueFd> descriptors) {
  for (auto& fd : descriptors)
    if (stored_.size() < most_) stored_.push_back({name, std::move(fd), is_polled});
}

}  // namespace hostcall::test
