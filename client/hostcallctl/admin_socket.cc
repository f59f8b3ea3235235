// The admin socket: see admin_socket.h.
#include "client/hostcallctl/admin_socket.h"

#include <grp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "client/cli/text.h"
#include "proto/net/address.h"

namespace hostcall::cli::host {

namespace {

// How the router refuses what a VM's socket does not serve.
constexpr std::string_view kNoSuchMethod = "no such method: hostcall.v1.Admin/";

// Who may open the socket: admin_group is its group, unless that is empty.
std::string remedy(const std::string& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0)
    return "be root or a member of the group that hostcalld.json names as admin_group (hostcall, by default)";
  const auto* group = status.st_gid == 0 || (status.st_mode & S_IWGRP) == 0 ? nullptr : ::getgrgid(status.st_gid);
  if (group == nullptr) return "be root";
  const auto name = printable(group->gr_name);
  return "be root or a member of group " + name + " (usermod -aG " + name + " USER, then log in again)";
}

bool may_not_open(const std::string& path) { return ::access(path.c_str(), W_OK) != 0 && errno == EACCES; }

}  // namespace

Failure explain_access(Failure failure, const Common& common) {
  const auto address = net::Address::parse(common.address);
  if (!address.ok()) return failure;
  const auto& path = address->path;
  if (failure.code == ExitCode::kUnreachable && !address->is_abstract() && may_not_open(path))
    return {ExitCode::kDenied, "this user may not open " + printable(path) + ": " + remedy(path)};
  if (failure.code == ExitCode::kNoSuchMethod && failure.text.find(kNoSuchMethod) != std::string::npos)
    failure.text = printable(path) +
                   " is not hostcalld's admin socket, or its hostcalld is older than this program: " + failure.text;
  return failure;
}

}  // namespace hostcall::cli::host
