// hostcallctl vm list, show and remove: VM records and what each VM uses now. vm_add.cc adds records.
#include "client/hostcallctl/vm_text.h"

#include "client/cli/limit_table.h"
#include "client/cli/text.h"
#include "client/hostcallctl/host_verbs.h"
#include "client/hostcallctl/pages.h"
#include "client/hostcallctl/top_table.h"
#include "hostcall/v1/admin.hostcall.h"

namespace hostcall::cli::host {
namespace {

constexpr char kListHelp[] = R"(Lists the VMs by name: their tags, whether they have a connection, and what they did
per second in the last 5 to 10 seconds. A VM whose listener is MISSING can't call; vm
show says why, and what to do. Long names and tags are cut to fit 80 columns; --json
and vm show have all of each record. With -q, prints only the names, whole.
)";

constexpr char kListExamples[] = R"(  hostcallctl vm list
)";

constexpr char kShowHelp[] = R"(Shows one VM record, its present state, and its limits with what is left of each.
-q leaves nothing out.
)";

constexpr char kShowExamples[] = R"(  hostcallctl vm show web1 --json | jq .vm.bootId
)";

constexpr char kRemoveHelp[] = R"(Removes a VM that was added at run time, and ends its sessions within a second.
To remove a VM that a file in vms.d defines, edit the file and reload. The VM's
keys in the store stay, for a later VM of the same name; --purge deletes them,
even if the VM is no longer registered. With -q, prints nothing.
)";

constexpr char kRemoveExamples[] = R"(  hostcallctl vm remove web1
  hostcallctl vm remove web1 --purge
)";

// Together 80 columns.
constexpr std::size_t kNameWidth = 20;
constexpr std::size_t kTagsWidth = 13;

std::string tags_of(const v1::VmRecord& record) {
  return record.tags().empty() ? "-" : cut(join({record.tags().begin(), record.tags().end()}, ","), kTagsWidth);
}

// "-": there is no rate yet.
std::string rate_of(const v1::VmState& vm, double per_second) {
  return vm.rate_window_nano() == 0 ? "-" : format_rate(per_second);
}

class VmTable {
 public:
  std::string text_of(const v1::VmListResponse& page) {
    for (const auto& vm : page.vms())
      table_.add({cut(vm.record().name(), kNameWidth), tags_of(vm.record()), state_of(vm),
                  std::to_string(vm.connections()), rate_of(vm, vm.calls_per_second()),
                  rate_of(vm, vm.denied_per_second()), rate_of(vm, vm.bytes_per_second())});
    return table_.flush();
  }

 private:
  Table table_{{"NAME", "TAGS", "STATE", ">CONNS", ">CALLS/s", ">DENY/s", ">BYTES/s"}};
};

std::string names_of(const v1::VmListResponse& list) {
  std::string names;
  for (const auto& vm : list.vms()) names += shown(vm.record().name()) + "\n";
  return names;
}

std::string to_text(const v1::VmShowResponse& shown) {
  return describe(shown.vm()) + "\n" + limit_table(shown.limits());
}

class VmList : public Verb {
 public:
  ExitCode run(Invocation& invocation) override {
    VmTable table;
    show_pages<v1::Admin::VmList>(invocation, {}, "vms", [&](const v1::VmListResponse& page) {
      return invocation.quiet() ? names_of(page) : table.text_of(page);
    });
    return ExitCode::kDone;
  }
};

class VmShow : public Verb {
 public:
  void declare(Arguments& arguments) override { arguments.positional("NAME", name_, "Name of the record."); }
  ExitCode run(Invocation& invocation) override {
    v1::VmShowRequest request;
    request.set_name(name_);
    const auto shown = invocation.read<v1::Admin::VmShow>(request);
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
    const auto done = invocation.call<v1::Admin::VmRemove>(request);
    invocation.confirm(done, to_text(done));
    return ExitCode::kDone;
  }

 private:
  std::string to_text(const v1::VmRemoveResponse& done) const {
    const auto keys = count(done.keys_deleted(), "key");
    // An older hostcalld does not tell whether it removed a record, and never finds only keys.
    if (!done.removed() && done.keys_deleted() != 0)
      return "no VM is named " + printable(name_) + "; deleted " + keys + " left by an earlier VM of that name\n";
    return printable(name_) + " removed, " + std::to_string(done.sessions_ended()) + " of its sessions ended" +
           (purge_ ? ", " + keys + " deleted" : "") + "\n";
  }

  std::string name_;
  bool purge_ = false;
};

}  // namespace

const VerbEntry kVmList{"vm list", "list the VMs, and what each does now", kListHelp, kListExamples,
                        []() -> std::unique_ptr<Verb> { return std::make_unique<VmList>(); }};
const VerbEntry kVmShow{"vm show", "show one VM record, its state and limits", kShowHelp, kShowExamples,
                        []() -> std::unique_ptr<Verb> { return std::make_unique<VmShow>(); }};
const VerbEntry kVmRemove{"vm remove", "remove a VM that was added at run time", kRemoveHelp, kRemoveExamples,
                          []() -> std::unique_ptr<Verb> { return std::make_unique<VmRemove>(); }};

}  // namespace hostcall::cli::host
