// hostcallctl kv: the keys of all VMs, for programs on the host. The verbs are in ../cli/kv.
#include "client/cli/exit_code.h"
#include "client/cli/kv/verbs.h"
#include "client/cli/text.h"
#include "client/hostcallctl/host_verbs.h"
#include "proto/base/escape.h"

namespace hostcall::cli::host {
namespace {

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

class HostKeys : public kv::KeySpace {
 public:
  void declare(Arguments& arguments) override {
    arguments.option("--vm", "NAME", vm_, "Use this VM's keys, which the VM sees as /self/…");
    arguments.not_empty();
    arguments.flag("--shared", shared_, "Use the keys that all VMs share, /shared/…");
  }
  bool has_boots() const override { return false; }

 private:
  std::string in_full(const std::string& key) const override {
    if (shared_ && !vm_.empty()) throw usage("--vm and --shared exclude each other");
    if (vm_.find('/') != std::string::npos) throw usage(in_quotes(vm_) + " is not the name of a VM");
    if (!key.starts_with('/')) throw usage(in_quotes(key) + " is not a key: keys begin with \"/\"");
    if (shared_) return "/shared" + key;
    return vm_.empty() ? key : "/vm/" + vm_ + key;
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
