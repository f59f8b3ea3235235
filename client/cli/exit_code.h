// Exit codes: the same table for every verb of both command lines, so that a script can tell a negative answer
// from a host that is not there. Failure carries one to main, which prints its text.
#pragma once

#include <hostcall/client.h>

#include <string>

#include "proto/base/clock.h"

namespace hostcall::cli {

enum class ExitCode : int {
  kDone = 0,
  kNegative = 1,
  kUsage = 2,
  kOverLimit = 123,
  kDeadline = 124,
  kUnreachable = 125,
  kDenied = 126,
  kNoSuchMethod = 127,
};

// The table as --help shows it.
extern const char kExitCodeHelp[];

// Of a status that does not say when to try again.
ExitCode exit_code_of(Code code);

// Whether the call was refused over a limit, before the host did anything, and can succeed later.
bool passes(const Status& status);

// Thrown by verbs, caught once in main. The text is one line, fit for a terminal.
struct Failure {
  ExitCode code;
  std::string text;
};

// What a call's failure means for the caller of the command line: the host's words, which say when to try again
// where that helps, and whether the outcome is known.
Failure failure_of(const Status& status);
// The status of a call that changes nothing: its outcome does not matter if it has not arrived.
Status of_read(Status status);
// For a wrong command line.
Failure usage(std::string text);

// The value of a reply; throws its failure.
template <class T>
T value_of(Reply<T> reply) {
  if (!reply.ok()) throw failure_of(reply.status());
  return *std::move(reply);
}
// The same for a call that changes nothing.
template <class T>
T value_of_read(Reply<T> reply) {
  if (!reply.ok()) throw failure_of(of_read(reply.status()));
  return *std::move(reply);
}

}  // namespace hostcall::cli
