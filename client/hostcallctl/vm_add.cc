// hostcallctl vm add: registers a VM at run time.
#include <array>

#include "client/cli/text.h"
#include "client/hostcallctl/host_verbs.h"
#include "client/hostcallctl/vm_text.h"
#include "client/hostcallctl/warnings.h"
#include "hostcall/v1/admin.hostcall.h"
#include "proto/base/escape.h"

namespace hostcall::cli::host {
namespace {

constexpr char kHelp[] = R"(Registers a VM in the running hostcalld and opens its Unix listener, if any.
hostcalld recognises a VM by its CID (AF_VSOCK: QEMU with vhost-vsock) or by its
own Unix listener (Firecracker, Cloud Hypervisor, vhost-device-vsock), which for
a VMM with uds_path P and port 18499 is P_18499. With --vmm-uid alone, hostcalld
makes a directory that this user may write to, with the listener inside; give the
VMM the uds_path that is printed. The record survives restarts of hostcalld, and
with --persistent also of the host. Warns if the VM can't call yet, because a
listener is missing. With -q, prints only errors and warnings.
)";

constexpr char kExamples[] = R"(  hostcallctl vm add web1 --cid 42 --tag web --limit streams=64
  hostcallctl vm add fc1 --vmm-uid 1001
  hostcallctl vm add fc2 --vmm-uid 1002 --json | jq -r .vm.udsPath
)";

constexpr std::uint64_t kMaxUint32 = UINT32_MAX;

class VmAdd : public Verb {
 public:
  void declare(Arguments& arguments) override {
    arguments.positional("NAME", name_, "Lower-case letters, digits, _ . and -; at most 64.");
    arguments.option("--cid", "N", cid_, {3, kMaxUint32 - 1}, "The guest's CID.");
    arguments.option("--unix", "PATH", unix_path_, "The VM's own listener, which hostcalld creates.");
    arguments.not_empty();
    arguments.option("--vmm-uid", "UID", vmm_uid_, {0, kMaxUint32 - 1},
                     "The uid that the VMM must have to connect there; alone: makes the listener.");
    arguments.option("--uuid", "UUID", uuid_, "Shown to guest and services.");
    arguments.not_empty();
    arguments.option("--tag", "TAG", tags_, "A tag for policy rules (tag:TAG); may be repeated.");
    arguments.option("--limit", "NAME=VALUE", limits_, "A limit of this VM; may be repeated.");
    arguments.flag("--persistent", persistent_, "Keep the record when the host restarts.");
  }
  ExitCode run(Invocation& invocation) override {
    const auto added = invocation.call<v1::Admin::VmAdd>(request());
    invocation.confirm(added, describe(added.vm()));
    if (const auto& why = added.vm().unreachable(); !why.empty())
      show_warnings(invocation, std::array{"VM " + in_quotes(name_) + " can't call: " + why});
    return ExitCode::kDone;
  }

 private:
  v1::VmAddRequest request() const {
    if (!cid_ && unix_path_.empty() && !vmm_uid_)
      throw usage("nothing to recognise the VM by; give --cid, --unix or --vmm-uid");
    v1::VmAddRequest request;
    request.set_persistent(persistent_);
    auto& record = *request.mutable_record();
    record.set_name(name_);
    record.set_uuid(uuid_);
    record.set_cid(static_cast<std::uint32_t>(cid_.value_or(0)));
    record.set_unix_path(unix_path_);
    record.set_has_vmm_uid(vmm_uid_.has_value());
    record.set_vmm_uid(static_cast<std::uint32_t>(vmm_uid_.value_or(0)));
    for (const auto& tag : tags_) record.add_tags(tag);
    for (const auto& limit : limits_) *record.add_limits() = parse_limit(limit);
    return request;
  }

  std::string name_, unix_path_, uuid_;
  std::optional<std::uint64_t> cid_, vmm_uid_;
  std::vector<std::string> tags_, limits_;
  bool persistent_ = false;
};

}  // namespace

const VerbEntry kVmAdd{"vm add", "register a VM at run time", kHelp, kExamples,
                       []() -> std::unique_ptr<Verb> { return std::make_unique<VmAdd>(); }};

}  // namespace hostcall::cli::host
