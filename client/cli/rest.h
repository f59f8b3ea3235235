// The words of a command line that a verb takes as they are: those behind its positional, such as the arguments of
// another program.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace hostcall::cli {

// Where they begin; the end: the verb takes none. `words` is the command line without the program's name. CLI11 would
// take the options among them for its own, so it must not see them.
std::size_t find_rest(CLI::App& root, const std::vector<std::string>& words,
                      const std::function<bool(CLI::App& verb)>& has_rest);

}  // namespace hostcall::cli
