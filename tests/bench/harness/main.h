// The main() of a program whose arguments are words: an exception ends it with its text and exit code 1.
#pragma once

#include <exception>
#include <iostream>
#include <string>
#include <vector>

namespace hostcall::bench {

inline int run_with_words(int argc, char** argv, void (*run)(const std::vector<std::string>& words)) {
  try {
    run({argv + 1, argv + argc});
    return 0;
  } catch (const std::exception& error) {
    std::cerr << error.what() << '\n';
    return 1;
  }
}

}  // namespace hostcall::bench
