// hostcall kv: the keys that the host keeps for this VM. The verbs are in ../cli/kv.
#include "client/cli/kv/verbs.h"
#include "client/hostcall/guest_verbs.h"

namespace hostcall::cli::guest {
namespace {

constexpr char kGetExamples[] = R"(  hostcall kv get /self/config > app.conf
  hostcall kv get /shared/leader --wait --timeout 5m
)";
constexpr char kPutExamples[] = R"(  hostcall kv put /self/state ready
  hostcall kv put /self/report --file report.json
  uname -a | hostcall kv put /self/kernel -
  hostcall kv put /self/lock $$ --if-revision 0 || echo taken
)";
constexpr char kDeleteExamples[] = R"(  hostcall kv delete /self/state
)";
constexpr char kListExamples[] = R"(  hostcall kv list /self/
  hostcall kv list /self/ -q | while read -r k; do hostcall kv get "$k"; done
  hostcall kv list /self/ --json | jq -r '.items[] | .key, (.value | @base64d)'
)";
constexpr char kWatchExamples[] = R"(  hostcall kv watch /shared/
  hostcall kv watch /self/config --snapshot --exec 'cat > app.conf; reload app'
)";
constexpr char kTxnExamples[] = R"(  hostcall kv txn '{"compare": [{"key": "/self/n", "version": "1"}],
      "then": [{"put": {"key": "/self/n", "value": "Mg=="}}]}'
)";

}  // namespace

std::vector<VerbEntry> kv_verbs() {
  return kv::verbs<kv::KeySpace>(
      {kGetExamples, kPutExamples, kDeleteExamples, kListExamples, kWatchExamples, kTxnExamples});
}

}  // namespace hostcall::cli::guest
