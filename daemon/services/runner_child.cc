#include "daemon/services/runner_child.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <string_view>

namespace hostcall::daemon {
namespace {

constexpr int kSocket = 3;  // its number in the child

// What systemd tells hostcalld alone.
constexpr std::string_view kOurs[] = {"NOTIFY_SOCKET=", "WATCHDOG_", "LISTEN_"};

std::vector<char*> environment() {
  std::vector<char*> variables;
  for (char** at = ::environ; *at != nullptr; ++at)
    if (std::ranges::none_of(kOurs, [at](std::string_view ours) { return std::string_view(*at).starts_with(ours); }))
      variables.push_back(*at);
  variables.push_back(nullptr);
  return variables;
}

class SpawnSettings {
 public:
  explicit SpawnSettings(int socket) {
    ::posix_spawn_file_actions_init(&actions_);
    ::posix_spawn_file_actions_addopen(&actions_, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    ::posix_spawn_file_actions_adddup2(&actions_, socket, kSocket);
    ::posix_spawn_file_actions_addclosefrom_np(&actions_, kSocket + 1);
    ::posix_spawnattr_init(&attributes_);
    // The reactor has blocked signals, and SIGPIPE is ignored. A session: a terminal's Ctrl-C is for hostcalld.
    sigset_t none, all;
    ::sigemptyset(&none);
    ::sigfillset(&all);
    ::posix_spawnattr_setsigmask(&attributes_, &none);
    ::posix_spawnattr_setsigdefault(&attributes_, &all);
    ::posix_spawnattr_setflags(&attributes_, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSID);
  }
  ~SpawnSettings() {
    ::posix_spawn_file_actions_destroy(&actions_);
    ::posix_spawnattr_destroy(&attributes_);
  }
  SpawnSettings(const SpawnSettings&) = delete;
  SpawnSettings& operator=(const SpawnSettings&) = delete;

  const posix_spawn_file_actions_t* actions() const { return &actions_; }
  const posix_spawnattr_t* attributes() const { return &attributes_; }

 private:
  posix_spawn_file_actions_t actions_;
  posix_spawnattr_t attributes_;
};

}  // namespace

Result<std::unique_ptr<RunnerChild>> RunnerChild::spawn(Reactor& reactor, const std::string& program,
                                                        const std::vector<std::string>& services, UniqueFd socket) {
  std::vector<std::string> words = {program, "--direct", "--socket-fd", std::to_string(kSocket)};
  for (const auto& directory : services) words.insert(words.end(), {"--services", directory});
  std::vector<char*> argv;
  for (auto& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  const SpawnSettings settings(socket.get());
  pid_t pid = -1;
  const int error = ::posix_spawn(&pid, program.c_str(), settings.actions(), settings.attributes(), argv.data(),
                                  environment().data());
  if (error != 0) return Error{error, "start " + program};
  std::unique_ptr<RunnerChild> child(new RunnerChild(reactor, pid));
  child->process_ = UniqueFd::adopt(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  // Without it the child is reaped when this object dies.
  if (child->process_ && !reactor.add(child->process_.get(), kReadable, *child).ok()) child->process_.reset();
  return child;
}

RunnerChild::~RunnerChild() {
  stop_watching();
  if (pid_ >= 0) (void)::waitpid(pid_, nullptr, WNOHANG);
}

void RunnerChild::stop_watching() {
  if (process_) reactor_.remove(process_.get());
  process_.reset();
}

void RunnerChild::on_io(std::uint32_t) {
  if (pid_ < 0 || ::waitpid(pid_, nullptr, WNOHANG) == 0) return;
  pid_ = -1;
  stop_watching();
}

std::string runner_beside_this_program() {
  std::error_code ignored;
  return std::filesystem::read_symlink("/proc/self/exe", ignored).replace_filename("hostcall-runner").string();
}

}  // namespace hostcall::daemon
