// hostcall run: a program of the host with this program's standard input, output and error, and its exit code.
#include <algorithm>

#include "client/cli/output.h"
#include "client/hostcall/guest_verbs.h"
#include "client/hostcall/pump.h"
#include "client/hostcall/run_call.h"
#include "proto/base/escape.h"

namespace hostcall::cli::guest {
namespace {

constexpr char kHelp[] = R"(Runs a program of the host that its administrator has named in services.d, with
the arguments that the service takes. Standard input, output and error are those
of the program. All words behind NAME are the program's, options too; options of
hostcall stand before it. Nothing is read before the program runs.

Ctrl-C, SIGTERM, SIGHUP or a reader that has gone ends the program on the host
and all that it has started. So does a --timeout that is given. Without it, the
service's own timeout is the deadline, and the start takes at most 30s. -q changes
nothing, and there is no JSON.

Exits with the program's exit code, or with 128+N if signal N killed it. hostcall's
own failures have a line on standard error, which the program's have not:
123 over a limit that passes, 124 deadline exceeded, 125 the host was not reached,
the program could not be started, or its outcome is unknown, 126 denied by policy,
or by the service, which does not take these arguments, 127 no such service.
)";

constexpr char kExamples[] = R"(  tar c /srv | hostcall run backup daily
  hostcall --timeout 10m run restore daily > srv.tar
)";

constexpr std::uint32_t kMaxExitCode = 255;

// As a shell reports it.
ExitCode exit_code_of_program(const v1::Ended& ended) {
  constexpr std::uint32_t kSignals = 128;
  const auto code = ended.signal() == 0 ? ended.exit_code() : kSignals + std::min(ended.signal(), kSignals - 1);
  return static_cast<ExitCode>(std::min(code, kMaxExitCode));
}

class Run : public Verb {
 public:
  void declare(Arguments& arguments) override {
    arguments.positional("NAME", name_, "The service's name in the host's services.d.");
    arguments.rest("ARG", arguments_, "Arguments for the program, as they are.");
  }
  ExitCode run(Invocation& invocation) override {
    check_service_name(name_);
    if (invocation.json()) throw usage("--json: the output is the program's own");
    std::optional<v1::Ended> outcome;
    const auto status = Pump(invocation).run([&](const CallOptions& options) {
      return std::make_unique<RunCall>(invocation.client(), request(), RunCall::Ends{}, options, outcome);
    });
    if (!outcome) throw failure_without_outcome(status);
    if (!outcome->reason().empty())
      complain(invocation.program(), "the host has ended the program: " + escape_message(outcome->reason()));
    return exit_code_of_program(*outcome);
  }

 private:
  v1::StartRequest request() const {
    v1::StartRequest request;
    request.set_service(name_);
    for (const auto& argument : arguments_) request.add_arguments(argument);
    return request;
  }
  static Failure failure_without_outcome(const Status& status) {
    if (!status.ok()) return service_failure(status);
    return {ExitCode::kUnreachable, "the host has not told how the program ended"};
  }

  std::string name_;
  std::vector<std::string> arguments_;
};

}  // namespace

const VerbEntry kRun{"run", "run a program of the host", kHelp, kExamples,
                     []() -> std::unique_ptr<Verb> { return std::make_unique<Run>(); }};

}  // namespace hostcall::cli::guest
