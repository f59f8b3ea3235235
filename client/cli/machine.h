// Machine: what the doctors read of the running system, below a root directory that tests replace by a tree of their
// own.
#pragma once

#include <sys/stat.h>

#include <optional>
#include <string>
#include <vector>

#include "proto/base/result.h"

namespace hostcall::cli {

class Machine {
 public:
  // `root` stands in front of every path; empty: this system.
  explicit Machine(std::string root = {}) : root_(std::move(root)) {}

  // Where a path of the system really is.
  std::string at(const std::string& path) const { return root_ + path; }
  // Whether systemd is its init; the same test as sd_booted(3).
  bool has_systemd() const { return exists("/run/systemd/system"); }
  bool exists(const std::string& path) const { return status(path).ok(); }
  // Follows symbolic links.
  Result<struct stat> status(const std::string& path) const;
  // Of the link itself, where the path is one.
  Result<struct stat> link_status(const std::string& path) const;
  // The file's text without white space at its ends. Nothing: it can not be read.
  std::optional<std::string> read(const std::string& path) const;
  // Sorted names in a directory; empty where there is none.
  std::vector<std::string> list(const std::string& directory) const;

 private:
  std::string root_;
};

}  // namespace hostcall::cli
