// hostcallctl kv: the keys of all VMs, for programs on the host. The verbs are in ../cli/kv.
#include <algorithm>

#include "client/cli/exit_code.h"
#include "client/cli/kv/verbs.h"
#include "client/cli/output.h"
#include "client/cli/text.h"
#include "client/hostcallctl/host_verbs.h"
#include "hostcall/v1/admin.hostcall.h"
#include "proto/base/escape.h"

namespace hostcall::cli::host {
namespace {

constexpr std::string_view kPlaces[] = {"/self/", "/shared/", "/vm/"};

constexpr char kGetExamples[] = R"(  hostcallctl kv get /ready --vm web1 --wait --timeout 5m
  hostcallctl kv get /motd --shared
)";
constexpr char kPutExamples[] = R"(  hostcallctl kv put /config --vm web1 --file web1.conf
  date | hostcallctl kv put /motd - --shared
)";
constexpr char kDeleteExamples[] = R"(  hostcallctl kv delete /config --vm web1
)";
constexpr char kListExamples[] = R"(  hostcallctl kv list / --vm web1
  hostcallctl kv list /vm/ -q
)";
constexpr char kWatchExamples[] = R"(  hostcallctl kv watch /vm/
  hostcallctl kv watch /ready --vm web1 --exec 'systemctl start after-web1'
)";
constexpr char kTxnExamples[] = R"(  hostcallctl kv txn --vm web1 '{"compare": [{"key": "/n", "version": "1"}],
      "then": [{"put": {"key": "/n", "value": "Mg=="}}]}'
)";

// Whether the key says already whose it is.
bool names_a_place(const std::string& key) {
  return std::ranges::any_of(kPlaces, [&](std::string_view place) { return (key + "/").starts_with(place); });
}

class HostKeys : public kv::KeySpace {
 public:
  void declare(Arguments& arguments) override {
    arguments.option("--vm", "NAME", vm_,
                     "Use this VM's own keys: /x here is /self/x in the VM, and /vm/NAME/x without this option.");
    arguments.not_empty();
    arguments.flag("--shared", shared_, "Use the keys that all VMs share: /x here is /shared/x.");
  }
  // Not a failure: what a VM finds at its first boot may be written before it is registered.
  void check(Invocation& invocation) const override {
    if (vm_.empty()) return;
    v1::VmShowRequest request;
    request.set_name(vm_);
    const auto shown = invocation.reply_of<v1::Admin::VmShow>(request);
    if (shown.ok()) return;
    if (shown.status().code != Code::kNotFound) throw failure_of(of_read(shown.status()));
    complain(invocation.program(), "warning: no VM is named " + in_quotes(vm_) + " at present");
  }
  bool has_boots() const override { return false; }

 private:
  // What all keys that are meant are below; empty: keys are given in full.
  std::string place() const {
    if (shared_) return "/shared";
    return vm_.empty() ? "" : "/vm/" + vm_;
  }
  std::string in_full(const std::string& key) const override {
    if (shared_ && !vm_.empty()) throw usage("--vm and --shared exclude each other");
    if (vm_.find('/') != std::string::npos) throw usage(in_quotes(vm_) + " is not the name of a VM");
    if (!key.starts_with('/')) throw usage(in_quotes(key) + " is not a key: keys begin with \"/\"");
    const auto in_place = place() + key;
    if (!place().empty() && names_a_place(key))
      throw usage("with " + std::string(shared_ ? "--shared" : "--vm") + ", " + in_quotes(key) + " would be " +
                  in_quotes(in_place) + "; leave out the option or the key's first part, or give that key in full");
    return in_place;
  }

  std::string vm_;
  bool shared_ = false;
};

}  // namespace

std::vector<VerbEntry> kv_verbs() {
  return kv::verbs<HostKeys>(
      {kGetExamples, kPutExamples, kDeleteExamples, kListExamples, kWatchExamples, kTxnExamples});
}

}  // namespace hostcall::cli::host
