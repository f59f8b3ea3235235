// hostcallctl metrics: prints the daemon's metrics for Prometheus.
#include "client/hostcallctl/host_verbs.h"
#include "hostcall/v1/admin.hostcall.h"

namespace hostcall::cli::host {
namespace {

constexpr char kHelp[] = R"(Prints hostcalld's metrics in Prometheus' text format, which node_exporter's
textfile collector takes too. hostcalld's metrics.sock answers HTTP GET with the
same. With --json, prints the text as one string. -q leaves nothing out.
)";

constexpr char kExamples[] = R"(  hostcallctl metrics | promtool check metrics
  hostcallctl metrics --openmetrics
)";

class Metrics : public Verb {
 public:
  void declare(Arguments& arguments) override {
    arguments.flag("--openmetrics", open_, "Print OpenMetrics 1.0 instead.");
  }
  // A text that breaks off must not pass for the whole, so nothing is printed before all has come.
  ExitCode run(Invocation& invocation) override {
    v1::MetricsTextRequest request;
    if (open_) request.set_format(v1::MetricsTextRequest::FORMAT_OPENMETRICS);
    auto stream = value_of(invocation.client().open<v1::Admin::Metrics>(request, invocation.rest()));
    v1::MetricsTextResponse all, part;
    while (stream.recv(part)) all.mutable_text()->append(part.text());
    const auto status = of_read(invocation.with_hint(stream.finish()));
    if (!status.ok()) throw failure_of(status);
    invocation.show(all, all.text());
    return ExitCode::kDone;
  }

 private:
  bool open_ = false;
};

}  // namespace

const VerbEntry kMetrics{"metrics", "print hostcalld's metrics for Prometheus", kHelp, kExamples,
                         []() -> std::unique_ptr<Verb> { return std::make_unique<Metrics>(); }};

}  // namespace hostcall::cli::host
