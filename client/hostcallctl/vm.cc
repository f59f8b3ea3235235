// hostcallctl vm list, show and remove: VM records and what each VM uses now. vm_add.cc adds records.
#include "client/hostcallctl/vm_text.h"

#include "client/cli/limit_table.h"
#include "client/cli/text.h"
#include "client/hostcallctl/host_verbs.h"
#include "hostcall/v1/admin.hostcall.h"

namespace hostcall::cli::host {
namespace {

constexpr char kListHelp[] = R"(Lists the VM records by name: how each VM is recognised, where its record comes
from, and what it uses now. With -q, prints only the names.
)";

constexpr char kListExamples[] = R"(  hostcallctl vm list
)";

constexpr char kShowHelp[] = R"(Shows one VM record, its present state, and its limits with what is left of each.
)";

constexpr char kShowExamples[] = R"(  hostcallctl vm show web1 --json | jq .vm.bootId
)";

constexpr char kRemoveHelp[] = R"(Removes a VM that was added at run time, and ends its sessions within a second.
To remove a VM that a file in vms.d defines, edit the file and reload. The VM's
keys in the store stay, for a later VM of the same name; --purge deletes them,
even if the VM is no longer registered.
)";

constexpr char kRemoveExamples[] = R"(  hostcallctl vm remove web1
  hostcallctl vm remove web1 --purge
)";

std::string to_text(const v1::VmListResponse& list) {
  Table table({"NAME", "RECOGNISED BY", "ORIGIN", ">CONNECTIONS", ">OPEN", ">MEMORY", ">CALLS", ">DENIED"});
  for (const auto& vm : list.vms())
    table.add({vm.record().name(), evidence_of(vm.record()), vm.origin(), std::to_string(vm.connections()),
               std::to_string(vm.streams()), format_bytes(vm.memory_bytes()), std::to_string(vm.calls()),
               std::to_string(vm.denied())});
  return table.to_string();
}

std::string names_of(const v1::VmListResponse& list) {
  std::string names;
  for (const auto& vm : list.vms()) names += printable(vm.record().name()) + "\n";
  return names;
}

std::string to_text(const v1::VmShowResponse& shown) {
  return describe(shown.vm()) + "\n" + limit_table(shown.limits());
}

class VmList : public Verb {
 public:
  ExitCode run(Invocation& invocation) override {
    const auto list = invocation.call<v1::Admin::VmList>();
    invocation.show(list, invocation.quiet() ? names_of(list) : to_text(list));
    return ExitCode::kDone;
  }
};

class VmShow : public Verb {
 public:
  void declare(Arguments& arguments) override { arguments.positional("NAME", name_, "Name of the record."); }
  ExitCode run(Invocation& invocation) override {
    v1::VmShowRequest request;
    request.set_name(name_);
    const auto shown = invocation.call<v1::Admin::VmShow>(request);
    invocation.show(shown, to_text(shown));
    return ExitCode::kDone;
  }

 private:
  std::string name_;
};

class VmRemove : public Verb {
 public:
  void declare(Arguments& arguments) override {
    arguments.positional("NAME", name_, "Name of the record.");
    arguments.flag("--purge", purge_, "Also delete its keys.");
  }
  ExitCode run(Invocation& invocation) override {
    v1::VmRemoveRequest request;
    request.set_name(name_);
    request.set_purge(purge_);
    const auto removed = invocation.call<v1::Admin::VmRemove>(request);
    const auto keys = purge_ ? ", " + std::to_string(removed.keys_deleted()) + " keys deleted" : "";
    invocation.confirm(removed, printable(name_) + " removed, " + std::to_string(removed.sessions_ended()) +
                                    " of its sessions ended" + keys + "\n");
    return ExitCode::kDone;
  }

 private:
  std::string name_;
  bool purge_ = false;
};

}  // namespace

const VerbEntry kVmList{"vm list", "list the VM records, and what each VM uses now", kListHelp, kListExamples,
                        []() -> std::unique_ptr<Verb> { return std::make_unique<VmList>(); }};
const VerbEntry kVmShow{"vm show", "show one VM record, its state and limits", kShowHelp, kShowExamples,
                        []() -> std::unique_ptr<Verb> { return std::make_unique<VmShow>(); }};
const VerbEntry kVmRemove{"vm remove", "remove a VM that was added at run time", kRemoveHelp, kRemoveExamples,
                          []() -> std::unique_ptr<Verb> { return std::make_unique<VmRemove>(); }};

}  // namespace hostcall::cli::host
