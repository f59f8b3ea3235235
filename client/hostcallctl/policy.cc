// hostcallctl policy: checks files, explains how policy decides a call, reloads the files.
#include "client/cli/input.h"
#include "client/cli/text.h"
#include "client/hostcallctl/host_verbs.h"
#include "client/hostcallctl/warnings.h"
#include "hostcall/v1/admin.hostcall.h"
#include "proto/base/escape.h"
#include "proto/wire/frame.h"

namespace hostcall::cli::host {
namespace {

constexpr char kCheckHelp[] = R"(Asks hostcalld to parse policy files without applying them: the given files in
that order, or the configured files. If a file is invalid, prints file, line and
reason, and exits with 1. Warns of rules that can't mean what they say: they name
a method, VM, tag or service that does not exist or a resource that no key can
match, allow what no rule can allow, or have no effect, because an earlier rule
matches first.
Warnings do not change the exit code. With -q, prints only errors and warnings.
)";

constexpr char kCheckExamples[] = R"(  hostcallctl policy check
  hostcallctl policy check new/*.json && cp new/*.json /etc/hostcall/policy.d/
)";

constexpr char kExplainHelp[] = R"(Explains how the policy in force decides a call of a VM, and which rule of which
file decides. The audit record has the same text; a denied guest gets the name of
the file instead of its path. Exits with 0 if the call is allowed, with 126 if it
is denied, with 127 if no method has this name, and with 2 if it can't be made,
because its resource is missing or malformed, or because the VM's calls never have
a privileged port. Whether services.d has the service that is the resource is not
looked at. With -q, prints nothing.
)";

constexpr char kExplainExamples[] = R"(  hostcallctl policy explain --vm web1 --call hostcall.v1.Host/Info
  hostcallctl policy explain --vm web1 --call hostcall.v1.Store/Get \
      --resource /shared/motd --privileged-port
)";

constexpr char kReloadHelp[] = R"(Reloads configuration, VM records, services and policy, all or nothing: if a
file is invalid, nothing changes, and the exit code is 1. Only an error in
services.d disables its own service, with a warning. Does the same as
systemctl reload hostcalld, but reports the outcome, and warns of changes that only
a restart applies, of VMs whose listener can't be opened, of rules as "policy check"
does, and of services as "service check" does. With -q, prints only errors and warnings.
)";

constexpr char kReloadExamples[] = R"(  hostcallctl policy check && hostcallctl policy reload
)";

std::string checked_text(const v1::PolicyCheckResponse& checked) {
  const auto warnings =
      checked.warnings_size() == 0 ? "" : ", " + count(static_cast<std::uint64_t>(checked.warnings_size()), "warning");
  return count(checked.files(), "file") + ", " + count(checked.rules(), "rule") + ": no error" + warnings + "\n";
}

class PolicyCheck : public Verb {
 public:
  void declare(Arguments& arguments) override {
    arguments.positional("FILE", files_, "JSON policy files; defaults to the configured files.");
  }
  ExitCode run(Invocation& invocation) override {
    const auto reply = invocation.reply_of<v1::Admin::PolicyCheck>(request(invocation.deadline()));
    // An invalid file is a negative answer here, not a usage error.
    if (reply.status().code == Code::kInvalidArgument)
      throw Failure{ExitCode::kNegative, escape_message(reply.status().message)};
    const auto checked = value_of_read(reply);
    show_warnings(invocation, checked.warnings());
    invocation.confirm(checked, checked_text(checked));
    return ExitCode::kDone;
  }

 private:
  v1::PolicyCheckRequest request(TimePoint deadline) const {
    v1::PolicyCheckRequest request;
    for (const auto& path : files_) {
      auto& file = *request.add_files();
      file.set_name(path);
      file.set_content(Input::file(path).all(wire::kMaxDataBytes, deadline));
    }
    return request;
  }
  std::vector<std::string> files_;
};

class PolicyExplain : public Verb {
 public:
  void declare(Arguments& arguments) override {
    arguments.option("--vm", "NAME", vm_, "The calling VM.");
    arguments.required();
    arguments.option("--call", "SERVICE/METHOD", call_, "The call, for example hostcall.v1.Host/Info.");
    arguments.required();
    arguments.option("--resource", "TEXT", resource_, "The call's resource, if the method has one.");
    arguments.not_empty();
    arguments.flag("--privileged-port", privileged_, "Decide as for a source port below 1024.");
  }
  ExitCode run(Invocation& invocation) override {
    v1::PolicyExplainRequest request;
    request.set_vm(vm_);
    request.set_method(call_);
    request.set_resource(resource_);
    request.set_privileged_port(privileged_);
    const auto verdict = invocation.read<v1::Admin::PolicyExplain>(request);
    invocation.confirm(verdict, escape_message(verdict.text()) + "\n");
    return verdict.allowed() ? ExitCode::kDone : ExitCode::kDenied;
  }

 private:
  std::string vm_, call_, resource_;
  bool privileged_ = false;
};

class PolicyReload : public Verb {
 public:
  ExitCode run(Invocation& invocation) override {
    const auto loaded = invocation.call<v1::Admin::Reload>();
    invocation.confirm(loaded, count(loaded.vms(), "VM") + ", " + count(loaded.rules(), "rule") + " and " +
                                   count(loaded.services(), "service") + " in force\n");
    show_warnings(invocation, loaded.warnings());
    return ExitCode::kDone;
  }
};

}  // namespace

const VerbEntry kPolicyCheck{"policy check", "parse policy files without applying them", kCheckHelp, kCheckExamples,
                             []() -> std::unique_ptr<Verb> { return std::make_unique<PolicyCheck>(); }};
const VerbEntry kPolicyExplain{"policy explain", "explain how policy decides a call, by which rule", kExplainHelp,
                               kExplainExamples,
                               []() -> std::unique_ptr<Verb> { return std::make_unique<PolicyExplain>(); }};
const VerbEntry kPolicyReload{"policy reload", "reload configuration, VM records, services and policy", kReloadHelp,
                              kReloadExamples,
                              []() -> std::unique_ptr<Verb> { return std::make_unique<PolicyReload>(); }};

}  // namespace hostcall::cli::host
