// hostcallctl stats: prints the daemon's counters and gauges.
#include "client/cli/text.h"
#include "client/hostcallctl/host_verbs.h"
#include "hostcall/v1/admin.hostcall.h"

namespace hostcall::cli::host {
namespace {

constexpr char kHelp[] = R"(Prints hostcalld's counters since it started, and its gauges, and
whether its store takes writes. -q leaves nothing out.
)";

constexpr char kExamples[] = R"(  hostcallctl stats --json | jq '.counters | map({(.name): .value}) | add'
)";

std::string to_text(const v1::StatsResponse& stats) {
  Table table({"COUNTER", ">VALUE"});
  for (const auto& counter : stats.counters()) table.add({counter.name(), std::to_string(counter.value())});
  // An older hostcalld does not tell.
  if (!stats.has_store()) return table.to_string();
  const auto& store = stats.store();
  const bool is_ok = store.state() == v1::StoreCondition::STATE_OK;
  return table.to_string() + "\n" + (is_ok ? "the store takes writes" : printable(store.text())) + "\n";
}

class Stats : public Verb {
 public:
  ExitCode run(Invocation& invocation) override {
    const auto stats = invocation.read<v1::Admin::Stats>();
    invocation.show(stats, to_text(stats));
    return ExitCode::kDone;
  }
};

}  // namespace

const VerbEntry kStats{"stats", "print hostcalld's counters", kHelp, kExamples,
                       []() -> std::unique_ptr<Verb> { return std::make_unique<Stats>(); }};

}  // namespace hostcall::cli::host
