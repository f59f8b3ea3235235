#include "daemon/config/service_warnings.h"

#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <map>
#include <optional>
#include <utility>

#include "daemon/config/trusted_path.h"
#include "proto/base/escape.h"

namespace hostcall::daemon {
namespace {

constexpr std::size_t kMaxUserRecord = 64 * 1024;

// Nothing: there is no such user.
std::optional<uid_t> uid_of(const std::string& user) {
  std::vector<char> buffer(kMaxUserRecord);
  passwd record{};
  passwd* found = nullptr;
  const int error = ::getpwnam_r(user.c_str(), &record, buffer.data(), buffer.size(), &found);
  if (error == 0 && found == nullptr) return std::nullopt;
  return found != nullptr ? found->pw_uid : uid_t{0};
}

// Empty: it is there, or this process can't see it, but the service's user may.
std::string why_it_is_not_there(const std::string& path, struct stat& status) {
  if (::stat(path.c_str(), &status) == 0 || errno == EACCES) return {};
  return errno == ENOENT ? "does not exist" : std::strerror(errno);
}

// Empty: it can, as far as this process can see.
std::string why_it_cant_start(const std::string& program) {
  struct stat status {};
  status.st_mode = S_IFREG | S_IXUSR;
  if (auto why = why_it_is_not_there(program, status); !why.empty()) return why;
  if (!S_ISREG(status.st_mode)) return "is not a regular file";
  return (status.st_mode & (S_IXUSR | S_IXGRP | S_IXOTH)) == 0 ? "is not executable" : "";
}

// The same of a program that is to run there.
std::string why_it_cant_run_in(const std::string& directory) {
  struct stat status {};
  status.st_mode = S_IFDIR;
  if (auto why = why_it_is_not_there(directory, status); !why.empty()) return why;
  return S_ISDIR(status.st_mode) ? "" : "is not a directory";
}

constexpr char kNeedsSystemd[] = R"(; that needs systemd, which "runner" in hostcalld.json leaves out here)";

// Finds the one of hostcalld's sockets that a path names.
class OwnSocketTable {
 public:
  explicit OwnSocketTable(const std::vector<OwnSocket>& sockets) {
    for (const auto& socket : sockets) by_key_.try_emplace(keys_.key_of(socket.path), socket.name);
  }
  // Null: none.
  const std::string* find(const std::string& path) {
    const auto at = by_key_.find(keys_.key_of(path.starts_with('@') ? path : behind_links(path)));
    return at == by_key_.end() ? nullptr : &at->second;
  }

 private:
  SocketKeys keys_;
  std::map<std::string, std::string> by_key_;
};

class ServiceLinter {
 public:
  explicit ServiceLinter(const ServiceHost& host) : host_(host), own_sockets_(host.sockets) {}

  std::vector<std::string> run(const Services& services) {
    for (const auto& service : services.all()) check(*service);
    return std::move(warnings_);
  }

 private:
  void warn(const ServiceRecord& service, const std::string& text) {
    warnings_.push_back(service.place() + ": the service " + service.name + ": " + text);
  }
  void check(const ServiceRecord& service) {
    const auto uid = service.user.empty() ? 0 : uid_of(service.user);
    if (!uid) warn(service, "there is no user " + in_quotes(service.user) + " at present");
    if (host_.direct) check_direct(service, uid);
    if (const auto* program = service.program()) check_program(service, *program, uid.value_or(0));
    if (const auto* socket = service.socket()) check_socket(service, socket->unix_path);
    if (const auto* routed = service.routed()) check_socket(service, routed->unix_path);
  }
  // What the runner refuses when it is called.
  void check_direct(const ServiceRecord& service, std::optional<uid_t> uid) {
    const auto* program = service.program();
    if (program != nullptr && !program->properties.empty())
      warn(service, R"(its calls fail, because it has "properties")" + std::string(kNeedsSystemd));
    if (!service.user.empty() && uid && *uid != ::geteuid())
      warn(service, "its calls fail, because its user is not hostcalld's" + std::string(kNeedsSystemd));
    if (program != nullptr && service.user.empty() && ::geteuid() == 0)
      warn(service,
           "its calls fail, because without systemd it would run as root, as hostcalld does; if that is meant, write "
           R"("user": "root")");
  }
  void check_socket(const ServiceRecord& service, const std::string& path) {
    if (path.empty()) return;
    if (const auto* own = own_sockets_.find(path))
      warn(service, "its calls fail, because " + in_quotes(path) + " is hostcalld's own socket: " + *own);
  }
  // Its own user may change it.
  void check_program(const ServiceRecord& service, const ProgramService& program, uid_t user) {
    if (const auto& directory = program.directory; !directory.empty())
      if (const auto why = why_it_cant_run_in(directory); !why.empty())
        warn(service, "the directory " + in_quotes(directory) + " " + why);
    const auto& path = program.command.front();
    if (const auto why = why_it_cant_start(path); !why.empty())
      return warn(service, "the program " + in_quotes(path) + " " + why);
    const auto trusted = check_trusted(path, {.what = "what the service runs", .also = user});
    if (!trusted.ok()) warn(service, trusted.error().message());
  }

  const ServiceHost& host_;
  OwnSocketTable own_sockets_;
  std::vector<std::string> warnings_;
};

}  // namespace

void ServiceHost::add(const Config& config) {
  direct = config.runner_directory().empty();
  for (const auto& socket : config.own_sockets()) sockets.push_back(socket);
}

void ServiceHost::add(const VmRecord& vm) {
  if (!vm.unix_path.empty()) sockets.push_back({"the listener of VM " + in_quotes(vm.name), vm.unix_path});
}

std::vector<std::string> service_warnings(const Services& services, const ServiceHost& host) {
  return services.size() == 0 ? std::vector<std::string>() : ServiceLinter(host).run(services);
}

}  // namespace hostcall::daemon
