#include "daemon/config/service_warnings.h"

#include <pwd.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstring>
#include <optional>

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

// Empty: it can, as far as this process can see.
std::string why_it_cant_start(const std::string& program) {
  struct stat status {};
  if (::stat(program.c_str(), &status) != 0) {
    if (errno == EACCES) return {};  // the service's user may see it
    return errno == ENOENT ? "does not exist" : std::strerror(errno);
  }
  if (!S_ISREG(status.st_mode)) return "is not a regular file";
  return (status.st_mode & (S_IXUSR | S_IXGRP | S_IXOTH)) == 0 ? "is not executable" : "";
}

class ServiceLinter {
 public:
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
    if (const auto* program = service.program()) check_program(service, program->command.front(), uid.value_or(0));
  }
  // Its own user may change it.
  void check_program(const ServiceRecord& service, const std::string& path, uid_t user) {
    if (const auto why = why_it_cant_start(path); !why.empty())
      return warn(service, "the program " + in_quotes(path) + " " + why);
    const auto trusted = check_trusted(path, {.what = "what the service runs", .also = user});
    if (!trusted.ok()) warn(service, trusted.error().message());
  }

  std::vector<std::string> warnings_;
};

}  // namespace

std::vector<std::string> service_warnings(const Services& services) { return ServiceLinter().run(services); }

}  // namespace hostcall::daemon
