#include "client/lib/server_listener.h"

#include <fcntl.h>
#include <grp.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <string_view>
#include <utility>

namespace hostcall::server {
namespace {

constexpr int kFirstPassed = 3;  // as sd_listen_fds(3) has it
constexpr int kMaxPassed = 1024;

Result<gid_t> gid_of(const std::string& name) {
  std::vector<char> buffer(1024);
  group entry{};
  group* found = nullptr;
  while (::getgrnam_r(name.c_str(), &entry, buffer.data(), buffer.size(), &found) == ERANGE)
    buffer.resize(buffer.size() * 2);
  if (found == nullptr) return Error{0, "there is no group \"" + name + "\""};
  return entry.gr_gid;
}

Done share(const std::string& path, const std::string& group) {
  const auto gid = HOSTCALL_TRY(gid_of(group));
  if (::chown(path.c_str(), static_cast<uid_t>(-1), gid) == 0) return done();
  return Error::from_errno("chown " + path + " to group " + group);
}

// A number in the environment; -1: none.
int number_of(const char* variable) {
  const char* value = std::getenv(variable);
  const std::string_view text = value == nullptr ? "" : value;
  int number = -1;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size() ? number : -1;
}

}  // namespace

Result<ListeningSocket> ListeningSocket::open(const net::Address& address, const ServerOptions& options) {
  auto fd = HOSTCALL_TRY(net::listen(address, options.mode));
  const auto file = address.is_abstract() ? std::nullopt : net::socket_file(address);
  ListeningSocket socket(std::move(fd), address, file);
  if (file && !options.group.empty()) HOSTCALL_TRY(share(address.path, options.group));
  return socket;
}

Result<ListeningSocket> ListeningSocket::adopt(int passed) {
  auto fd = UniqueFd::adopt(passed);
  if (::fcntl(passed, F_SETFD, FD_CLOEXEC) != 0 || ::fcntl(passed, F_SETFL, O_NONBLOCK) != 0)
    return Error::from_errno("inherited socket " + std::to_string(passed));
  auto address = HOSTCALL_TRY(net::listening_address(passed));
  if (address.family != net::Address::Family::kUnix)
    return Error{0, "inherited socket " + std::to_string(passed) + " is no Unix socket: guests call hostcalld"};
  net::refuse_descriptors(passed);
  return ListeningSocket(std::move(fd), std::move(address), std::nullopt);
}

ListeningSocket::~ListeningSocket() {
  if (fd_ && file_ && net::socket_file(address_) == file_) ::unlink(address_.path.c_str());
}

std::vector<int> take_passed_descriptors() {
  const int count = number_of("LISTEN_PID") == ::getpid() ? number_of("LISTEN_FDS") : 0;
  for (const char* variable : {"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"}) ::unsetenv(variable);
  std::vector<int> passed;
  for (int i = 0; i < count && i < kMaxPassed; ++i) passed.push_back(kFirstPassed + i);
  return passed;
}

}  // namespace hostcall::server
