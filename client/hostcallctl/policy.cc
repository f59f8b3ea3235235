// hostcallctl policy: checks files, explains how policy decides a call, reloads the files.
#include "client/cli/output.h"
#include "client/cli/text.h"
#include "client/hostcallctl/host_verbs.h"
#include "hostcall/v1/admin.hostcall.h"
#include "proto/base/escape.h"
#include "proto/base/read_file.h"
#include "proto/wire/frame.h"

namespace hostcall::cli::host {
namespace {

constexpr char kCheckHelp[] = R"(Asks hostcalld to parse policy files without applying them: the given files in
that order, or the configured files. If a file is invalid, prints file, line and
reason, and exits with 1.
)";

constexpr char kCheckExamples[] = R"(  hostcallctl policy check
  hostcallctl policy check new/*.json && cp new/*.json /etc/hostcall/policy.d/
)";

constexpr char kExplainHelp[] = R"(Explains how the policy in force decides a call of a VM, and which rule of which
file decides. A denied guest and the audit record get the same text. Exits with 0
if the call is allowed, and with 126 if it is denied.
)";

constexpr char kExplainExamples[] = R"(  hostcallctl policy explain --vm web1 --call hostcall.v1.Host/Info
  hostcallctl policy explain --vm web1 --call hostcall.v1.Store/Get \
      --resource /shared/motd --privileged-port
)";

constexpr char kReloadHelp[] = R"(Reloads configuration, VM records and policy, all or nothing: if a file is
invalid, nothing changes, and the exit code is 1. Does the same as
systemctl reload hostcalld, but reports the outcome.
)";

constexpr char kReloadExamples[] = R"(  hostcallctl policy check && hostcallctl policy reload
)";

std::string count(std::uint64_t number, const char* noun) {
  return std::to_string(number) + " " + noun + (number == 1 ? "" : "s");
}

class PolicyCheck : public Verb {
 public:
  void declare(Arguments& arguments) override {
    arguments.positional("FILE", files_, "JSON policy files; defaults to the configured files.");
  }
  ExitCode run(Invocation& invocation) override {
    const auto reply = invocation.client().call<v1::Admin::PolicyCheck>(request(), invocation.rest());
    // An invalid file is a negative answer here, not a usage error.
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
    arguments.option("--resource", "TEXT", resource_, "The call's resource, if the method has one.");
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

const VerbEntry kPolicyCheck{"policy check", "parse policy files without applying them", kCheckHelp, kCheckExamples,
                             []() -> std::unique_ptr<Verb> { return std::make_unique<PolicyCheck>(); }};
const VerbEntry kPolicyExplain{"policy explain", "explain how policy decides a call, by which rule", kExplainHelp,
                               kExplainExamples,
                               []() -> std::unique_ptr<Verb> { return std::make_unique<PolicyExplain>(); }};
const VerbEntry kPolicyReload{"policy reload", "reload configuration, VM records and policy", kReloadHelp,
                              kReloadExamples,
                              []() -> std::unique_ptr<Verb> { return std::make_unique<PolicyReload>(); }};

}  // namespace hostcall::cli::host
