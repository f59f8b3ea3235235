// A whole file as text.
#pragma once

#include <fstream>
#include <sstream>
#include <string>

namespace hostcall::test {

inline std::string read_file(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path, std::ios::binary).rdbuf();
  return text.str();
}

}  // namespace hostcall::test
