// hostcall forward: a local socket whose connections go to a service of the host.
#include <algorithm>
#include <csignal>
#include <nlohmann/json.hpp>

#include "client/cli/output.h"
#include "client/cli/text.h"
#include "client/hostcall/forwarder.h"
#include "client/hostcall/guest_verbs.h"

namespace hostcall::cli::guest {
namespace {

constexpr char kHelp[] = R"(Listens on a local socket and carries each connection to a socket of the host that
its administrator has named in services.d. All of them share one connection to the
host; each has its own call, and a slow one holds up no other. The end of each
direction is passed on. A connection that the host refuses is closed, with a line on
standard error, and the others go on; after a restart of the host, new ones connect
again.

LISTEN is unix:/path, a socket for this user alone (mode 0600), in a directory
where nobody else can replace it, and is removed at the end; or tcp:127.0.0.1:PORT
or tcp:[::1]:PORT, to which every user of this machine can connect. Port 0 is a
free one.

Prints one line once it listens: nothing with -q, and with --json "listen" and
"service". It has reached the host by then; whether the host has the service, and
its policy allows it, shows with the first connection. Goes on until Ctrl-C, SIGTERM
or SIGHUP, or a --timeout that was given (exit code 124).
)";

constexpr char kExamples[] = R"(  hostcall forward unix:$XDG_RUNTIME_DIR/agent.sock ssh-agent
  hostcall forward tcp:127.0.0.1:5000 registry
)";

constexpr std::uint64_t kMostConnections = 400;

class Forward : public Verb {
 public:
  void declare(Arguments& arguments) override {
    arguments.positional("LISTEN", listen_, "Where to listen.");
    arguments.positional("SERVICE", service_, "The service's name in the host's services.d.");
    arguments.option("-c,--connections", "N", most_, {1, kMostConnections},
                     "How many may be open at once, more wait; defaults to 64.");
  }
  ExitCode run(Invocation& invocation) override {
    const auto address = LocalAddress::parse(listen_);
    if (!address.ok()) throw usage("LISTEN: " + address.error().message());
    check_service_name(service_);
    invocation.keep_unread(static_cast<std::uint32_t>(*most_) * kUnreadBytesEach);
    end_at_interrupt();
    invocation.connect();
    invocation.last();
    const auto listener = LocalListener::listen(*address);
    if (!listener.ok()) throw Failure{ExitCode::kUnreachable, listener.error().message()};
    Forwarder forwarder(invocation, *listener, events_.emplace(), service_, *most_);
    say_ready(invocation, listener->address().to_string());
    // The loss of whoever reads our complaints is none of the connections'.
    std::signal(SIGPIPE, SIG_IGN);
    forwarder.run();
  }

 private:
  void say_ready(const Invocation& invocation, const std::string& address) const {
    if (invocation.json())
      print_line(nlohmann::ordered_json{{"listen", address}, {"service", service_}}.dump(
          -1, ' ', false, nlohmann::json::error_handler_t::replace));
    else if (!invocation.quiet())
      print_line("listening on " + printable(address) + " for " + printable(service_));
  }

  std::string listen_, service_;
  std::optional<std::uint64_t> most_ = 64;
  std::optional<EventSet> events_;  // lives longer than the invocation, whose client is in it
};

}  // namespace

const VerbEntry kForward{"forward", "a local socket to a socket of the host", kHelp, kExamples,
                         []() -> std::unique_ptr<Verb> { return std::make_unique<Forward>(); }};

}  // namespace hostcall::cli::guest
