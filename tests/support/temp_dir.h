// TempDir: a test's own directory, removed with its contents. Below $TMPDIR, which defaults to /tmp; its path is short,
// because socket paths are limited.
#pragma once

#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>

namespace hostcall::test {

class TempDir {
 public:
  TempDir() {
    const char* parent = std::getenv("TMPDIR");
    std::string name = std::string(parent == nullptr ? "/tmp" : parent) + "/hc-test-XXXXXX";
    if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("mkdtemp failed");
    path_ = name;
    // hostcalld reads no file that a group may write.
    ::umask(022);
  }
  ~TempDir() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;

  const std::string& path() const { return path_; }
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }
  // Writes a file and creates its directories.
  std::string write(const std::string& name, const std::string& text) const {
    const auto file = path_ + "/" + name;
    std::filesystem::create_directories(std::filesystem::path(file).parent_path());
    std::ofstream(file, std::ios::trunc) << text;
    return file;
  }

 private:
  std::string path_;
};

}  // namespace hostcall::test
