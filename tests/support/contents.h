// Reads a test's file as text.
#pragma once

#include <stdexcept>
#include <string>
#include <utility>

#include "proto/base/read_file.h"

namespace hostcall::test {

inline std::string contents_of(const std::string& path) {
  auto text = read_file(path, 64 * 1024 * 1024);
  if (!text.ok()) throw std::runtime_error(text.error().message());
  return std::move(text).value();
}

}  // namespace hostcall::test
