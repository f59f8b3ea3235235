// Verb: one command of a command line, in a file of its own; Program: all of them, for main().
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "client/cli/arguments.h"
#include "client/cli/invocation.h"

namespace hostcall::cli {

class Verb {
 public:
  virtual ~Verb() = default;
  // Declares what the verb takes beyond the common options; the values are members of the verb.
  virtual void declare(Arguments&) {}
  // Throws Failure.
  virtual ExitCode run(Invocation& invocation) = 0;
};

// Everything that the command line needs to know of a verb before it is chosen.
struct VerbEntry {
  const char* name;      // "ping"; in a group "vm list"
  const char* summary;   // for the list of verbs; one line of at most 56 columns
  const char* help;      // what it does: paragraphs, wrapped when shown
  const char* examples;  // command lines, each indented by two blanks
  std::unique_ptr<Verb> (*make)();
};

// The option that says where to connect.
struct Endpoint {
  const char* option;       // "--address"
  const char* placeholder;  // "ADDRESS"
  const char* variable;     // environment variable that it defaults to
  const char* fallback;     // and what that defaults to
  const char* prefix;       // makes an address of the value: "unix:" of a path; empty: it is one
  const char* help;
};

struct Program {
  const char* name;
  const char* help;  // as a verb's
  const char* examples;
  Endpoint endpoint;
  std::vector<VerbEntry> verbs;
  bool takes_privileged_port;  // whether there is an option --privileged-port: for callers on vsock
  // Says more about a failure, where the program knows more; null: nothing to add.
  Failure (*refine)(Failure failure, const Common& common);
};

// The whole of main(): parses, runs the verb, prints a failure or whatever else is thrown. Returns the exit code, or
// dies of the signal that ended the run. `name` is the program's, which `make` describes.
int run_program(const char* name, const std::function<Program()>& make, int argc, char** argv);

}  // namespace hostcall::cli
