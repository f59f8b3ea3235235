#include "daemon/config/trusted_path.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <vector>

#include "proto/base/escape.h"

namespace hostcall::daemon {
namespace {

namespace fs = std::filesystem;

// The same number as the kernel follows.
constexpr int kMaxLinks = 40;
// A link to it is how systemd hides a vendor's file.
constexpr char kMask[] = "/dev/null";
constexpr char kMaskAdvice[] =
    "; to hide a file of this name in another directory, write an empty list, such as {\"rules\": []}, into a file in "
    "its place";

std::string octal(mode_t mode) {
  char text[8];
  std::snprintf(text, sizeof text, "%04o", mode & 07777);
  return text;
}

bool is_trusted(uid_t owner, const Trust& trust) { return owner == 0 || owner == ::geteuid() || owner == trust.also; }

// "root or uid 998"
std::string users_text(const Trust& trust) {
  std::string users = "root";
  if (::geteuid() != 0) users += " or uid " + std::to_string(::geteuid());
  if (trust.also != 0 && trust.also != ::geteuid()) users += " or uid " + std::to_string(trust.also);
  return users;
}

// A link has no mode of its own.
bool others_may_write(const struct stat& status) {
  const bool sticky = S_ISDIR(status.st_mode) && (status.st_mode & S_ISVTX) != 0;
  return !S_ISLNK(status.st_mode) && !sticky && (status.st_mode & (S_IWGRP | S_IWOTH)) != 0;
}

Error distrust(const fs::path& place, const struct stat& status, const Trust& trust) {
  const auto name = escape(place.string());
  // Nobody should change the mode of /dev/null.
  if (!S_ISREG(status.st_mode) && !S_ISDIR(status.st_mode) && !S_ISLNK(status.st_mode))
    return {0, name + " is not a regular file" + (place == kMask ? kMaskAdvice : "")};
  const auto remedy = is_trusted(status.st_uid, trust)
                          ? "chmod go-w " + name
                          : "chown -h root " + name + (others_may_write(status) ? ", then chmod go-w " + name : "");
  return {0, name + " belongs to uid " + std::to_string(status.st_uid) + " and has mode " + octal(status.st_mode) +
                 ", so others than " + users_text(trust) + " could change " + std::string(trust.what) + "; " + remedy};
}

// Follows a path as the kernel does, one name at a time.
class Walk {
 public:
  Walk(const fs::path& path, const Trust& trust) : trust_(trust) { push(path); }

  Done run() {
    HOSTCALL_TRY(check("/", false));
    while (!names_.empty()) HOSTCALL_TRY(enter());
    return done();
  }

 private:
  void push(const fs::path& path) {
    const std::vector<fs::path> names(path.begin(), path.end());
    names_.insert(names_.end(), names.rbegin(), names.rend());
  }
  Done enter() {
    const auto name = names_.back();
    names_.pop_back();
    if (name == "/") return go(name);
    if (name == "..") return go(at_.parent_path());
    if (name.empty() || name == ".") return done();
    return check(at_ / name, true);
  }
  Done go(const fs::path& directory) {
    at_ = directory;
    return done();
  }
  Done check(const fs::path& place, bool follow) {
    struct stat status {};
    if (::lstat(place.c_str(), &status) != 0) return go(place);
    if (!is_trusted(status.st_uid, trust_) || others_may_write(status)) return distrust(place, status, trust_);
    if (!follow || !S_ISLNK(status.st_mode)) return go(place);
    std::error_code error;
    if (++links_ <= kMaxLinks) push(fs::read_symlink(place, error));
    return done();
  }

  const Trust& trust_;
  fs::path at_ = "/";
  std::vector<fs::path> names_;  // still to enter, the next one last
  int links_ = 0;
};

}  // namespace

Done check_trusted(const std::string& path, const Trust& trust) {
  std::error_code error;
  const auto absolute = fs::absolute(path, error);
  if (error) return done();
  return Walk(absolute, trust).run();
}

}  // namespace hostcall::daemon
