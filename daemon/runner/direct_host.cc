#include "daemon/runner/direct_host.h"

#include <pwd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <optional>
#include <utility>

#include "daemon/runner/connector.h"
#include "daemon/runner/kept_program.h"
#include "daemon/runner/process_tree.h"
#include "proto/base/escape.h"

namespace hostcall::daemon {
namespace {

using wire::Code;
using wire::Status;

// Between two rounds that kill what a lost keeper has left.
constexpr milliseconds kLostPause{20};

std::optional<uid_t> uid_of(const std::string& user) {
  const auto* const entry = ::getpwnam(user.c_str());
  if (entry == nullptr) return std::nullopt;
  return entry->pw_uid;
}

Status refusal(const ServiceRecord& service, const std::string& why) {
  return {Code::kFailedPrecondition, "service " + in_quotes(service.name) + " " + why};
}

Status check_user(const ServiceRecord& service) {
  if (service.user.empty() && ::geteuid() == 0)
    return refusal(service,
                   "would run as root, because hostcalld does and systemd does not run this host; that must be "
                   "written: \"user\": \"root\"");
  if (!service.user.empty() && uid_of(service.user) != ::geteuid())
    return refusal(service,
                   "has another user than hostcalld, which needs systemd; with \"runner\": \"direct\", hostcalld's own "
                   "user runs all programs");
  return {};
}

}  // namespace

DirectHost::DirectHost(Reactor& reactor) : reactor_(reactor) {
  // What a keeper leaves behind that somebody has killed.
  ::prctl(PR_SET_CHILD_SUBREAPER, 1);
  reactor_.on_signal(SIGCHLD, [this] { reap(); });
}

wire::Status DirectHost::check(const ProgramOrder& order) {
  // Without the limits that the administrator wrote, it may do what he did not want.
  if (!order.program().properties.empty())
    return refusal(*order.service, "has properties, which need systemd; with \"runner\": \"direct\", none can be set");
  return check_user(*order.service);
}

wire::Status DirectHost::check(const ConnectOrder& order) {
  return order.socket().unix_path.empty() ? Status{} : check_user(*order.service);
}

std::unique_ptr<HostedProgram> DirectHost::start(ProgramOrder order, std::array<UniqueFd, 3> descriptors,
                                                 HostObserver& observer) {
  auto program = std::make_unique<KeptProgram>(reactor_, order.service->name, observer, [this] { on_keeper_lost(); });
  const auto keeper = program->start({.command = std::move(order.command),
                                      .environment = std::move(order.environment),
                                      .directory = order.program().directory,
                                      .descriptors = std::move(descriptors)});
  if (keeper) keepers_.insert(*keeper);
  return program;
}

std::unique_ptr<ConnectionAttempt> DirectHost::connect(const ConnectOrder& order, AttemptObserver& observer) {
  return std::make_unique<Connector>(reactor_, order.service->name, order.socket(), observer);
}

void DirectHost::reap() {
  pid_t ended = 0;
  while ((ended = ::waitpid(-1, nullptr, WNOHANG)) > 0) keepers_.erase(ended);
}

// Its program's processes are our children now.
void DirectHost::on_keeper_lost() {
  reap();
  if (signal_descendants(::getpid(), SIGKILL, keepers_) != 0) lost_timer_.set(reactor_.now() + kLostPause);
}

}  // namespace hostcall::daemon
