// hostcallctl policy: check files, ask how a call is decided, put what is on disk in force.
#include "client/cli/output.h"
#include "client/cli/text.h"
#include "client/hostcallctl/host_verbs.h"
#include "hostcall/v1/admin.hostcall.h"
#include "proto/base/escape.h"
#include "proto/base/read_file.h"
#include "proto/wire/frame.h"

namespace hostcall::cli::host {
namespace {

constexpr char kCheckHelp[] = R"(Lets hostcalld parse policy files without using them: those named, in that order,
or the configured ones on disk. Exits with 1 if they are broken, and says file,
line and reason.
)";

constexpr char kCheckExamples[] = R"(  hostcallctl policy check
  hostcallctl policy check new/*.json && cp new/*.json /etc/hostcall/policy.d/
)";

constexpr char kExplainHelp[] = R"(Says how the policy in force decides a call of a VM, and which rule of which file
does. The text is the one that a denied guest and the audit record see. Exits with
0 if the call is allowed and with 126 if it is denied.
)";

constexpr char kExplainExamples[] = R"(  hostcallctl policy explain --vm web1 --call hostcall.v1.Host/Info
  hostcallctl policy explain --vm web1 --call hostcall.v1.Store/Get \
      --resource /shared/motd --privileged-port
)";

constexpr char kReloadHelp[] = R"(Reads configuration, VM records and policy again, all or nothing: if any file is
broken, everything old stays in force, and the exit code is 1. What
systemctl reload hostcalld does, with the answer in your hands.
)";

constexpr char kReloadExamples[] = R"(  hostcallctl policy check && hostcallctl policy reload
)";

std::string count(std::uint64_t number, const char* noun) {
  return std::to_string(number) + " " + noun + (number == 1 ? "" : "s");
}

class PolicyCheck : public Verb {
 public:
  void declare(Arguments& arguments) override {
    arguments.positional("FILE", files_, "JSON policy files; none: the configured ones.");
  }
  ExitCode run(Invocation& invocation) override {
    const auto reply = invocation.client().call<v1::Admin::PolicyCheck>(request(), invocation.rest());
    // Here a malformed request is the very answer that was asked for.
    if (reply.status().code == Code::kInvalidArgument)
      throw Failure{ExitCode::kNegative, escape_message(reply.status().message)};
    const auto checked = value_of(reply);
    invocation.confirm(checked,
                       count(checked.files(), "file") + ", " + count(checked.rules(), "rule") + ": no error\n");
    return ExitCode::kDone;
  }

 private:
  v1::PolicyCheckRequest request() const {
    v1::PolicyCheckRequest request;
    for (const auto& path : files_) {
      auto content = read_file(path, wire::kMaxDataBytes);
      if (!content.ok()) throw usage(escape_message(content.error().message()));
      auto& file = *request.add_files();
      file.set_name(path);
      file.set_content(*std::move(content));
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
    arguments.option("--resource", "TEXT", resource_, "The call's resource, where the method has one.");
    arguments.flag("--privileged-port", privileged_, "Decide as for a source port below 1024.");
  }
  ExitCode run(Invocation& invocation) override {
    v1::PolicyExplainRequest request;
    request.set_vm(vm_);
    request.set_method(call_);
    request.set_resource(resource_);
    request.set_privileged_port(privileged_);
    const auto verdict = invocation.call<v1::Admin::PolicyExplain>(request);
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
    invocation.confirm(loaded, count(loaded.vms(), "VM") + " and " + count(loaded.rules(), "rule") + " in force\n");
    return ExitCode::kDone;
  }
};

}  // namespace

const VerbEntry kPolicyCheck{"policy check", "parse policy files without using them", kCheckHelp, kCheckExamples,
                             []() -> std::unique_ptr<Verb> { return std::make_unique<PolicyCheck>(); }};
const VerbEntry kPolicyExplain{"policy explain", "how a call is decided, and by which rule", kExplainHelp,
                               kExplainExamples,
                               []() -> std::unique_ptr<Verb> { return std::make_unique<PolicyExplain>(); }};
const VerbEntry kPolicyReload{"policy reload", "put configuration, VMs and policy on disk in force", kReloadHelp,
                              kReloadExamples,
                              []() -> std::unique_ptr<Verb> { return std::make_unique<PolicyReload>(); }};

}  // namespace hostcall::cli::host
