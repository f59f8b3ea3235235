// Machine: see machine.h.
#include "client/cli/machine.h"

#include <dirent.h>

#include <algorithm>
#include <memory>
#include <string_view>

#include "proto/base/read_file.h"

namespace hostcall::cli {
namespace {

// A file of /proc, /sys or /etc.
constexpr std::size_t kMaxBytes = 1024 * 1024;

// Not std::filesystem, which would be the only use in the static program.
struct CloseDirectory {
  void operator()(DIR* directory) const { ::closedir(directory); }
};

}  // namespace

Result<struct stat> Machine::status(const std::string& path) const {
  struct stat status {};
  if (::stat(at(path).c_str(), &status) != 0) return Error::from_errno(path);
  return status;
}

Result<struct stat> Machine::link_status(const std::string& path) const {
  struct stat status {};
  if (::lstat(at(path).c_str(), &status) != 0) return Error::from_errno(path);
  return status;
}

std::optional<std::string> Machine::read(const std::string& path) const {
  auto text = read_file(at(path), kMaxBytes);
  if (!text.ok()) return std::nullopt;
  constexpr auto kBlank = " \t\n";
  const auto begin = text->find_first_not_of(kBlank);
  if (begin == std::string::npos) return std::string();
  return text->substr(begin, text->find_last_not_of(kBlank) - begin + 1);
}

std::vector<std::string> Machine::list(const std::string& directory) const {
  std::vector<std::string> names;
  const std::unique_ptr<DIR, CloseDirectory> open(::opendir(at(directory).c_str()));
  while (const auto* entry = open ? ::readdir(open.get()) : nullptr) {
    const std::string_view name = entry->d_name;
    if (name != "." && name != "..") names.emplace_back(name);
  }
  std::ranges::sort(names);
  return names;
}

}  // namespace hostcall::cli
