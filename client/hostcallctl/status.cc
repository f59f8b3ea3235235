// hostcallctl status: hostcalld at a glance.
#include "client/cli/duration.h"
#include "client/cli/text.h"
#include "client/hostcallctl/host_verbs.h"
#include "hostcall/v1/admin.hostcall.h"

namespace hostcall::cli::host {
namespace {

constexpr char kHelp[] = R"(Shows hostcalld at a glance: its version and uptime, where it listens and which
listeners are missing, VMs, policy, services, store, and the last reload with its
warnings. Missing listeners and warnings come last, with what to do. -q leaves
nothing out.
)";

constexpr char kExamples[] = R"(  hostcallctl status
  hostcallctl status --json | jq .missing
)";

std::string listeners_of(const v1::StatusResponse& status) {
  std::vector<std::string> all{status.listeners().begin(), status.listeners().end()};
  if (status.vm_sockets() != 0) all.push_back(count(status.vm_sockets(), "socket") + " of VMs");
  return join(all, ", ");
}

std::string store_of(const v1::StatusResponse& status) {
  const bool is_ok = status.store().state() == v1::StoreCondition::STATE_OK;
  return count(status.store_keys(), "key") + ", " + format_bytes(status.store_bytes()) +
         (is_ok ? ", takes writes" : ", " + printable(status.store().text()));
}

std::string reload_of(const v1::StatusResponse& status) {
  if (!status.has_reload()) return "none since the start";
  const auto& failure = status.reload().failure();
  return format_time(status.reload().unix_nano()) +
         (failure.empty() ? "" : ", failed; the old configuration stays in force: " + printable(failure));
}

void add_lines(const google::protobuf::RepeatedPtrField<std::string>& lines, std::string_view title,
               std::string& text) {
  for (const auto& line : lines) text.append(title).append(printable(line)).append("\n");
}

std::string to_text(const v1::StatusResponse& status) {
  Table table;
  table.field("hostcalld", status.version() + ", pid " + std::to_string(status.pid()));
  table.field(
      "up", format_duration(nanoseconds(status.uptime_nano())) + ", since " + format_time(status.started_unix_nano()));
  table.field("listens on", listeners_of(status));
  table.field("VMs", std::to_string(status.vms()) + ", " + std::to_string(status.vms_connected()) + " connected");
  table.field("connections", std::to_string(status.connections()) + " of VMs, " +
                                 std::to_string(status.administrators()) + " of administrators");
  table.field("policy", count(status.rules(), "rule"));
  table.field("services", std::to_string(status.services()) +
                              (status.services_disabled() == 0
                                   ? ""
                                   : ", and " + std::to_string(status.services_disabled()) + " disabled by an error"));
  table.field("store", store_of(status));
  table.field("last reload", reload_of(status));
  if (status.journal_records_lost() != 0) table.field("log", count(status.journal_records_lost(), "record") + " lost");
  auto text = table.to_string();
  if (!status.missing().empty() || !status.warnings().empty()) text += "\n";
  add_lines(status.missing(), "missing: ", text);
  add_lines(status.warnings(), "warning: ", text);
  return text;
}

class ShowStatus : public Verb {
 public:
  ExitCode run(Invocation& invocation) override {
    const auto status = invocation.read<v1::Admin::Status>();
    invocation.show(status, to_text(status));
    return ExitCode::kDone;
  }
};

}  // namespace

const VerbEntry kStatus{"status", "show hostcalld at a glance", kHelp, kExamples,
                        []() -> std::unique_ptr<Verb> { return std::make_unique<ShowStatus>(); }};

}  // namespace hostcall::cli::host
