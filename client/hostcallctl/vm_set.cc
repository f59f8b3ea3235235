// hostcallctl vm set: changes tags and limits of a VM without ending its sessions.
#include "client/cli/text.h"
#include "client/hostcallctl/host_verbs.h"
#include "client/hostcallctl/vm_text.h"
#include "hostcall/v1/admin.hostcall.h"

namespace hostcall::cli::host {
namespace {

constexpr char kHelp[] = R"(Changes tags and limits of a VM that was added at run time; its sessions go on.
With other tags, policy decides its open calls again, and ends those that it denies.
Limits apply to what begins afterwards: what is above a lower one stays until it
ends, and connections that are open keep message_bytes and unread_reply_bytes. The
change survives what the record survives. A VM of vms.d is changed in its file. With
-q, prints nothing.
)";

constexpr char kExamples[] = R"(  hostcallctl vm set web1 --tag prod --remove-tag staging
  hostcallctl vm set web1 --limit streams=64 --reset-limit connections
)";

class VmSet : public Verb {
 public:
  void declare(Arguments& arguments) override {
    arguments.positional("NAME", name_, "Name of the record.");
    arguments.option("--tag", "TAG", tags_, "Add a tag; may be repeated.");
    arguments.option("--remove-tag", "TAG", removed_tags_, "Take a tag away; may be repeated.");
    arguments.option("--limit", "NAME=VALUE", limits_, "A limit of this VM; may be repeated.");
    arguments.option("--reset-limit", "NAME", reset_limits_, "The configured limit applies again; may be repeated.");
  }
  ExitCode run(Invocation& invocation) override {
    if (tags_.empty() && removed_tags_.empty() && limits_.empty() && reset_limits_.empty())
      throw usage("nothing to change; give --tag, --remove-tag, --limit or --reset-limit");
    v1::VmSetRequest request;
    request.set_name(name_);
    for (const auto& tag : tags_) request.add_add_tags(tag);
    for (const auto& tag : removed_tags_) request.add_remove_tags(tag);
    for (const auto& limit : limits_) *request.add_limits() = parse_limit(limit);
    for (const auto& name : reset_limits_) request.add_reset_limits(name);
    const auto changed = invocation.call<v1::Admin::VmSet>(request);
    invocation.confirm(changed, describe(changed.vm()));
    return ExitCode::kDone;
  }

 private:
  std::string name_;
  std::vector<std::string> tags_, removed_tags_, limits_, reset_limits_;
};

}  // namespace

const VerbEntry kVmSet{"vm set", "change tags and limits, while the VM's sessions go on", kHelp, kExamples,
                       []() -> std::unique_ptr<Verb> { return std::make_unique<VmSet>(); }};

}  // namespace hostcall::cli::host
