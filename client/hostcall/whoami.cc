// hostcall whoami: prints under which name and by which evidence the host knows this VM.
#include "client/cli/text.h"
#include "client/hostcall/guest_verbs.h"
#include "hostcall/v1/session.hostcall.h"
#include "proto/net/address.h"

namespace hostcall::cli::guest {
namespace {

constexpr char kHelp[] = R"(Prints how the host knows this VM: the name and tags of its record, the evidence
by which the host recognised it, and the session of this connection. With -q,
prints only the name.
)";

constexpr char kExamples[] = R"(  name=$(hostcall whoami -q)
  hostcall whoami --json | jq -r '.tags[]'
)";

std::string evidence(const v1::WhoAmIResponse& caller) {
  if (caller.evidence() == "unix") return "Unix socket of its own";
  if (caller.evidence() != "cid") return caller.evidence() + " socket " + printable(caller.unix_path());
  const auto* privileged = caller.port() < net::kPrivilegedPorts ? " (privileged: sent by root)" : "";
  return "CID " + std::to_string(caller.cid()) + ", port " + std::to_string(caller.port()) + privileged;
}

std::string to_text(const v1::WhoAmIResponse& caller) {
  Table table;
  table.field("VM", caller.vm_name());
  table.field("UUID", caller.uuid());
  table.field("tags", join({caller.tags().begin(), caller.tags().end()}, ", "));
  table.field("recognised by", evidence(caller));
  table.field("registration", std::to_string(caller.registration()));
  table.field("boot id", caller.boot_id());
  table.field("session", std::to_string(caller.session_id()));
  return table.to_string();
}

class WhoAmI : public Verb {
 public:
  ExitCode run(Invocation& invocation) override {
    const auto caller = invocation.read<v1::Session::WhoAmI>();
    invocation.show(caller, invocation.quiet() ? shown(caller.vm_name()) + "\n" : to_text(caller));
    return ExitCode::kDone;
  }
};

}  // namespace

const VerbEntry kWhoAmI{"whoami", "print under which name the host knows this VM", kHelp, kExamples,
                        []() -> std::unique_ptr<Verb> { return std::make_unique<WhoAmI>(); }};

}  // namespace hostcall::cli::guest
