// Machine: see machine.h.
#include "client/cli/machine.h"

#include <algorithm>
#include <filesystem>

#include "proto/base/read_file.h"

namespace hostcall::cli {
namespace {

// A file of /proc, /sys or /etc.
constexpr std::size_t kMaxBytes = 1024 * 1024;

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
  std::error_code error;
  for (std::filesystem::directory_iterator entry(at(directory), error), end; !error && entry != end;
       entry.increment(error))
    names.push_back(entry->path().filename().string());
  std::ranges::sort(names);
  return names;
}

}  // namespace hostcall::cli
