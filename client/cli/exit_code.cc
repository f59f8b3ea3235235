// Exit codes: see exit_code.h. 124 to 127 mean what they mean for timeout(1), env(1) and the shell.
#include "client/cli/exit_code.h"

#include "proto/base/escape.h"

namespace hostcall::cli {

const char kExitCodeHelp[] =
    "    0  done\n"
    "    1  the host's answer is negative: not found, already there, condition unmet\n"
    "    2  wrong usage, or a request that the host finds malformed\n"
    "  123  over a limit that passes, still after waiting as long as --timeout\n"
    "       allows; try later\n"
    "  124  the deadline (--timeout) passed\n"
    "  125  the host was not reached, the connection broke, a limit was hit that\n"
    "       waiting does not help, the output could not be written, or the host,\n"
    "       this program or a command of it (kv watch --exec) failed; if the outcome\n"
    "       is unknown, the text says so\n"
    "  126  denied by policy, with the rule that decided; this VM is not known; or\n"
    "       this user may not use hostcalld's admin socket\n"
    "  127  no such service or method\n"
    "  128+N  signal N ended it, as shells report it: 130 Ctrl-C, 141 the reader of\n"
    "       the output has gone\n";

ExitCode exit_code_of(Code code) {
  switch (code) {
    case Code::kOk: return ExitCode::kDone;
    case Code::kNotFound:
    case Code::kAlreadyExists:
    case Code::kFailedPrecondition:
    case Code::kAborted:
    case Code::kOutOfRange: return ExitCode::kNegative;
    case Code::kInvalidArgument: return ExitCode::kUsage;
    case Code::kDeadlineExceeded: return ExitCode::kDeadline;
    case Code::kPermissionDenied:
    case Code::kUnauthenticated: return ExitCode::kDenied;
    case Code::kUnimplemented: return ExitCode::kNoSuchMethod;
    // A limit is not an answer: a script must not take "too many writes" for "no such key".
    case Code::kResourceExhausted:
    case Code::kUnavailable:
    case Code::kCancelled:
    case Code::kUnknown:
    case Code::kInternal:
    case Code::kDataLoss: return ExitCode::kUnreachable;
  }
  return ExitCode::kUnreachable;  // a code that the host made up
}

bool passes(const Status& status) {
  return status.code == Code::kResourceExhausted && status.retry_after > milliseconds(0) && !status.outcome_unknown;
}

Failure failure_of(const Status& status) {
  std::string text = code_name(status.code);
  if (!status.message.empty()) text += ": " + escape_message(status.message);
  if (status.outcome_unknown) text += "; the outcome is unknown: the host may or may not have carried the call out";
  return {passes(status) ? ExitCode::kOverLimit : exit_code_of(status.code), std::move(text)};
}

Status of_read(Status status) {
  status.outcome_unknown = false;
  return status;
}

Failure usage(std::string text) { return {ExitCode::kUsage, std::move(text)}; }

}  // namespace hostcall::cli
