#include "daemon/runner/server.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <utility>

#include "proto/base/try_write.h"
#include "proto/net/socket.h"

namespace hostcall::daemon {
namespace {

constexpr seconds kIdleTime{5};
// After an accept that fails, for want of descriptors or memory.
constexpr seconds kAcceptPause{1};
// hostcalld has one; another one may end while the next one starts.
constexpr std::size_t kMaxConnections = 8;

int option_of(int fd, int name) {
  int value = 0;
  socklen_t length = sizeof value;
  return ::getsockopt(fd, SOL_SOCKET, name, &value, &length) == 0 ? value : -1;
}

}  // namespace

RunnerServer::RunnerServer(Reactor& reactor, UniqueFd listener, uid_t user, ServiceCache& services, ProgramHost& host,
                           std::function<void()> on_idle)
    : reactor_(reactor),
      listener_(std::move(listener)),
      user_(user),
      services_(services),
      host_(host),
      on_idle_(std::move(on_idle)) {
  if (!listen()) throw std::runtime_error("the socket can't be watched");
  idle_timer_.set(reactor_.now() + kIdleTime);
}

RunnerServer::~RunnerServer() { stop_listening(); }

bool RunnerServer::listen() {
  is_listening_ = reactor_.add(listener_.get(), kReadable, *this).ok();
  return is_listening_;
}

void RunnerServer::stop_listening() {
  pause_timer_.cancel();
  if (std::exchange(is_listening_, false)) reactor_.remove(listener_.get());
}

// Whoever waits still makes the socket readable: the loop would spin.
void RunnerServer::pause() {
  stop_listening();
  pause_timer_.set(reactor_.now() + kAcceptPause);
}

void RunnerServer::on_pause_end() {
  if (!listen()) pause();
}

void RunnerServer::on_io(std::uint32_t) {
  if (!is_listening_) return;
  auto connection = net::accept(listener_.get());
  if (!connection.ok() && connection.error().code == EAGAIN) return;
  if (!connection.ok()) return pause();
  const auto peer = net::peer_of(connection->get());
  if (!peer.ok() || peer->uid != user_)
    return try_to_say("hostcall-runner: uid " + (peer.ok() ? std::to_string(peer->uid) : "?") +
                      " may not use it, only hostcalld's user " + std::to_string(user_) + "\n");
  if (sessions_.size() < kMaxConnections) open(std::move(connection).value());
}

void RunnerServer::open(UniqueFd connection) {
  const auto number = ++last_number_;
  try {
    sessions_[number] = std::make_unique<RunnerSession>(reactor_, std::move(connection), services_, host_, running_,
                                                        [this, number](const std::string& why) { close(number, why); });
    idle_timer_.cancel();
  } catch (const std::runtime_error& error) {
    sessions_.erase(number);
    try_to_say("hostcall-runner: " + std::string(error.what()) + "\n");
  }
}

void RunnerServer::close(std::uint64_t number, const std::string& why) {
  if (!why.empty()) try_to_say("hostcall-runner: a connection has ended: " + why + "\n");
  const auto at = sessions_.find(number);
  reactor_.retire(std::move(at->second));
  sessions_.erase(at);
  if (sessions_.empty()) idle_timer_.set(is_ending_ ? reactor_.now() : reactor_.now() + kIdleTime);
}

void RunnerServer::end() {
  is_ending_ = true;
  stop_listening();
  if (sessions_.empty()) return idle_timer_.set(reactor_.now());
  // Each may go at once.
  for (std::uint64_t number = 0; number <= last_number_; ++number)
    if (const auto at = sessions_.find(number); at != sessions_.end()) at->second->end();
}

void RunnerServer::on_idle_timer() { on_idle_(); }

UniqueFd inherited_listener() {
  constexpr int kFirst = 3;
  const char* const pid = std::getenv("LISTEN_PID");
  const char* const count = std::getenv("LISTEN_FDS");
  if (pid == nullptr || count == nullptr || pid != std::to_string(::getpid()) || std::string(count) != "1")
    throw std::runtime_error("systemd has passed no socket; hostcall-runner.socket starts this program");
  if (option_of(kFirst, SO_TYPE) != SOCK_SEQPACKET || option_of(kFirst, SO_ACCEPTCONN) != 1)
    throw std::runtime_error("the socket of systemd is not a listening one with ListenSequentialPacket=");
  (void)::fcntl(kFirst, F_SETFL, O_NONBLOCK);
  (void)::fcntl(kFirst, F_SETFD, FD_CLOEXEC);
  return UniqueFd::adopt(kFirst);
}

}  // namespace hostcall::daemon
