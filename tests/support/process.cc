#include "tests/support/process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <utility>

#include "proto/base/unique_fd.h"

extern char** environ;

namespace hostcall::test {
namespace {

using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

// How often a wait checks for events that produce no output.
constexpr milliseconds kSlice(20);
// The first number of a descriptor that a program gets.
constexpr int kFirstPassed = 3;

std::vector<std::string> merged_environment(const std::map<std::string, std::string>& extra) {
  std::vector<std::string> all;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string text = *entry;
    if (!extra.contains(text.substr(0, text.find('=')))) all.push_back(text);
  }
  for (const auto& [name, value] : extra) all.push_back(name + "=" + value);
  return all;
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> result;
  for (auto& text : texts) result.push_back(text.data());
  result.push_back(nullptr);
  return result;
}

// A file in memory. A pipe could fill up while nobody reads.
int input_file(const std::string& text) {
  const int fd = ::memfd_create("input", MFD_CLOEXEC);
  if (fd < 0 || ::write(fd, text.data(), text.size()) != static_cast<ssize_t>(text.size()))
    throw std::runtime_error("memfd_create failed");
  ::lseek(fd, 0, SEEK_SET);
  return fd;
}

// Copies that are not in each other's way when they get their numbers in the child.
std::vector<UniqueFd> above_their_places(const std::vector<int>& descriptors) {
  std::vector<UniqueFd> copies;
  for (const int fd : descriptors)
    copies.push_back(
        UniqueFd::adopt(::fcntl(fd, F_DUPFD_CLOEXEC, kFirstPassed + static_cast<int>(descriptors.size()))));
  return copies;
}

// Reads the available bytes. False at the end of the pipe.
bool drain(int fd, std::string& into) {
  std::array<char, 65536> buffer;
  const auto got = ::read(fd, buffer.data(), buffer.size());
  if (got > 0) into.append(buffer.data(), static_cast<std::size_t>(got));
  return got > 0 || (got < 0 && (errno == EAGAIN || errno == EINTR));
}

}  // namespace

Process::Process(const std::vector<std::string>& argv, const ProcessOptions& options) {
  int out[2], err[2];
  if (::pipe2(out, O_CLOEXEC | O_NONBLOCK) != 0 || ::pipe2(err, O_CLOEXEC | O_NONBLOCK) != 0)
    throw std::runtime_error("pipe2 failed");
  // The child's ends block, because programs expect it.
  ::fcntl(out[1], F_SETFL, 0);
  ::fcntl(err[1], F_SETFL, 0);
  const int in = input_file(options.input);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, in, 0);
  posix_spawn_file_actions_adddup2(&actions, out[1], 1);
  posix_spawn_file_actions_adddup2(&actions, err[1], 2);
  const auto passed = above_their_places(options.descriptors);
  for (std::size_t i = 0; i < passed.size(); ++i)
    posix_spawn_file_actions_adddup2(&actions, passed[i].get(), kFirstPassed + static_cast<int>(i));
  auto arguments = argv;
  auto environment = merged_environment(options.environment);
  const int error = ::posix_spawnp(&pid_, argv[0].c_str(), &actions, nullptr, pointers(arguments).data(),
                                   pointers(environment).data());
  posix_spawn_file_actions_destroy(&actions);
  for (const int fd : {in, out[1], err[1]}) ::close(fd);
  out_ = out[0];
  err_ = err[0];
  if (error == 0) return;
  close_pipes();
  throw std::runtime_error("can't start " + argv[0] + ": " + std::strerror(error));
}

Process::~Process() {
  if (!code_) {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  close_pipes();
}

void Process::close_pipes() {
  for (int* fd : {&out_, &err_})
    if (*fd >= 0) ::close(std::exchange(*fd, -1));
}

void Process::signal(int number) const {
  if (!code_) ::kill(pid_, number);
}

// Waits for output and reads it. False if both pipes are at their end.
bool Process::pump(milliseconds time) {
  std::array<pollfd, 2> fds{pollfd{out_, POLLIN, 0}, pollfd{err_, POLLIN, 0}};
  if (::poll(fds.data(), fds.size(), static_cast<int>(time.count())) <= 0) return out_ >= 0 || err_ >= 0;
  if (fds[0].revents != 0 && !drain(out_, output_)) ::close(std::exchange(out_, -1));
  if (fds[1].revents != 0 && !drain(err_, errors_)) ::close(std::exchange(err_, -1));
  return out_ >= 0 || err_ >= 0;
}

bool Process::wait_until(const std::function<bool()>& holds, milliseconds time) {
  const auto end = Clock::now() + time;
  while (!holds())
    if (Clock::now() >= end || !pump(kSlice)) return holds();
  return true;
}

bool Process::wait_for_error_text(const std::string& text, milliseconds time) {
  return wait_until([&] { return errors_.find(text) != std::string::npos; }, time);
}

std::optional<int> Process::wait(milliseconds time) {
  const auto end = Clock::now() + time;
  for (;;) {
    const bool open = pump(kSlice);
    int status = 0;
    if (!code_ && ::waitpid(pid_, &status, open ? WNOHANG : 0) == pid_)
      code_ = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    if (code_) {
      // A grandchild may hold the pipes open, but the program's own output has already arrived.
      pump(milliseconds(0));
      return code_;
    }
    if (Clock::now() >= end) return std::nullopt;
  }
}

std::size_t Process::status_kib(const std::string& field) const {
  std::ifstream status("/proc/" + std::to_string(pid_) + "/status");
  for (std::string line; std::getline(status, line);)
    if (line.starts_with(field)) return std::stoul(line.substr(field.size()));
  return 0;
}

// proc(5): clear_refs.
void Process::forget_peak_rss() const { std::ofstream("/proc/" + std::to_string(pid_) + "/clear_refs") << 5; }

Finished run(const std::vector<std::string>& argv, const ProcessOptions& options, milliseconds time) {
  Process process(argv, options);
  const auto code = process.wait(time);
  return {code.value_or(255), process.output(), process.errors()};
}

}  // namespace hostcall::test
