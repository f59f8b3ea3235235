#include "daemon/runner/process_tree.h"

#include <dirent.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <charconv>
#include <csignal>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "proto/base/read_file.h"
#include "proto/base/unique_fd.h"

namespace hostcall::daemon {
namespace {

constexpr std::size_t kMaxStatBytes = 4096;

std::optional<pid_t> pid_of(std::string_view text) {
  pid_t pid = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), pid);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return pid;
}

// "PID (NAME) STATE PARENT …"; the name may hold anything.
std::optional<pid_t> parent_of(pid_t pid) {
  const auto stat = read_file("/proc/" + std::to_string(pid) + "/stat", kMaxStatBytes);
  if (!stat.ok()) return std::nullopt;
  std::string_view rest = stat.value();
  const auto name_end = rest.rfind(") ");
  if (name_end == std::string_view::npos || rest.size() < name_end + 5) return std::nullopt;
  rest.remove_prefix(name_end + 4);
  return pid_of(rest.substr(0, rest.find(' ')));
}

using Children = std::multimap<pid_t, pid_t>;  // by their parents

Children all_children() {
  Children children;
  const std::unique_ptr<DIR, int (*)(DIR*)> directory(::opendir("/proc"), &::closedir);
  if (directory == nullptr) return children;
  while (const auto* entry = ::readdir(directory.get())) {
    const auto pid = pid_of(entry->d_name);
    if (!pid) continue;
    if (const auto parent = parent_of(*pid)) children.emplace(*parent, *pid);
  }
  return children;
}

// The number may be another's by now: a descriptor keeps to one process.
void signal_child(pid_t parent, pid_t child, int signal) {
  const auto process = UniqueFd::adopt(static_cast<int>(::syscall(SYS_pidfd_open, child, 0)));
  if (!process || parent_of(child) != parent) return;
  (void)::syscall(SYS_pidfd_send_signal, process.get(), signal, nullptr, 0);
}

std::size_t signal_below(const Children& children, pid_t ancestor, int signal, const std::set<pid_t>& spared) {
  std::size_t count = 0;
  const auto [begin, end] = children.equal_range(ancestor);
  for (auto at = begin; at != end; ++at) {
    if (spared.contains(at->second)) continue;
    // Those below first: when their parent dies, they get another one.
    count += 1 + signal_below(children, at->second, signal, spared);
    signal_child(ancestor, at->second, signal);
  }
  return count;
}

}  // namespace

std::size_t signal_descendants(pid_t ancestor, int signal, const std::set<pid_t>& spared) {
  return signal_below(all_children(), ancestor, signal, spared);
}

}  // namespace hostcall::daemon
