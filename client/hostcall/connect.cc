// hostcall connect: standard input and output as a connection to a service of the host.
#include "client/hostcall/guest_verbs.h"
#include "client/hostcall/pump.h"
#include "client/hostcall/relay_call.h"

namespace hostcall::cli::guest {
namespace {

constexpr char kHelp[] = R"(Connects to a socket of the host that its administrator has named in services.d:
standard input goes to the service, and what the service sends to standard output,
as with nc(1), for example as ssh's ProxyCommand. The end of each direction is
passed on, and the other goes on; the command ends when both have ended. Nothing
is read before the connection is open.

--timeout, if given, bounds the whole connection; without it only its opening
takes at most 30s. Ctrl-C or a reader that has gone ends the connection. -q
changes nothing, and there is no JSON.

Exits with 127 if the host has no such service.
)";

constexpr char kExamples[] = R"(  hostcall connect registry < request > reply
  ssh -o ProxyCommand='hostcall connect git-ssh' git@host
)";

class Connect : public Verb {
 public:
  void declare(Arguments& arguments) override {
    arguments.positional("SERVICE", service_, "The service's name in the host's services.d.");
  }
  ExitCode run(Invocation& invocation) override {
    check_service_name(service_);
    if (invocation.json()) throw usage("--json: the output is the service's own");
    const auto status = Pump(invocation).run([&](const CallOptions& options) {
      return std::make_unique<RelayCall>(invocation.client(), service_, Ends{}, options);
    });
    if (!status.ok()) throw service_failure(of_read(status));
    return ExitCode::kDone;
  }

 private:
  std::string service_;
};

}  // namespace

const VerbEntry kConnect{"connect", "standard input and output to a socket of the host", kHelp, kExamples,
                         []() -> std::unique_ptr<Verb> { return std::make_unique<Connect>(); }};

}  // namespace hostcall::cli::guest
