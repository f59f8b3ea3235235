// KeySpace: how the users of a program name keys. A guest writes them as the host takes them; an administrator names a
// VM by an option, and keys below it.
#pragma once

#include <memory>
#include <string>

#include "client/cli/arguments.h"
#include "client/cli/invocation.h"

namespace hostcall::cli::kv {

class KeySpace {
 public:
  virtual ~KeySpace() = default;
  // Declares what the program's verbs take besides the key.
  virtual void declare(Arguments&) {}
  // The key or prefix as the host takes it. Throws Failure.
  std::string full(const std::string& key) const;
  // Warns if the options name keys of nobody. Called before the verb's own call. Throws Failure.
  virtual void check(Invocation&) const {}
  // Whether a key can end with a boot: of a VM that writes it itself.
  virtual bool has_boots() const { return true; }

 private:
  // For a text that is UTF-8.
  virtual std::string in_full(const std::string& key) const { return key; }
};

using Keys = std::unique_ptr<KeySpace>;

}  // namespace hostcall::cli::kv
