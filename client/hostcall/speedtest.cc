// hostcall speedtest: measures calls and streams between this VM and its host in four parts, in iperf's words.
#include <algorithm>

#include "client/cli/duration.h"
#include "client/cli/interrupt.h"
#include "client/cli/output.h"
#include "client/cli/text.h"
#include "client/hostcall/guest_verbs.h"
#include "client/hostcall/host_name.h"
#include "client/hostcall/speed_report.h"
#include "hostcall/v1/diagnostics.hostcall.h"

namespace hostcall::cli::guest {
namespace {

namespace Diagnostics = v1::Diagnostics;

constexpr char kHelp[] = R"(Measures the path to the host in four parts, each for --time: the latency of one
call at a time, calls per second with many in flight, a stream from the host and
a stream to it. Prints a line per second and a summary; with -q, only the
summary. As in iperf, Bytes count in powers of 1,024 and bits in powers of 1,000.

The host's policy and the VM's limits apply. The default policy denies the
service behind this test. To allow it, the administrator adds a rule on the host,
in a file such as /etc/hostcall/policy.d/10-speedtest.json:

{"rules": [{"vms": ["NAME"], "calls": ["hostcall.v1.Diagnostics/*"],
"action": "allow"}]}

--timeout bounds the wait for a connection and for a silent host, not the
measuring. Ctrl-C ends the run and prints the summary so far.

Exits with 0 if it measured anything, else with 1 if Ctrl-C came first, else with
the code of the failure. Before it has connected, Ctrl-C ends it at once (130).
)";

constexpr char kExamples[] = R"(  hostcall speedtest
  hostcall speedtest -t 10 -P 16 -l 4096
  hostcall speedtest --json | jq .download.bitsPerSecond
)";

constexpr std::uint32_t kPayloadBytes = 64;
constexpr std::uint64_t kMaxParallel = 1000;  // below the library's queue
constexpr std::uint32_t kLength = 64 * 1024;
// What a Chunk adds to its data; the host reserves as much.
constexpr std::uint32_t kChunkOverhead = 64;
constexpr milliseconds kMinTime{100};
constexpr milliseconds kMaxTime = std::chrono::minutes(10);
constexpr Duration kInterval = seconds(1);
// How often to look for Ctrl-C and the end of the time while nothing comes.
constexpr milliseconds kLook{200};

// The time of one part: its intervals, its end, and Ctrl-C.
class Clockwork {
 public:
  Clockwork(Invocation& invocation, const Interrupt& interrupt, int part, SpeedUnit unit, Duration time)
      : invocation_(invocation), interrupt_(interrupt), part_(part), unit_(unit), end_(begin_ + time) {}

  // One turn of the client: sends what was begun, waits for what comes.
  void turn() {
    invocation_.client().wait(kLook);
    look(Clock::now());
  }
  void count(std::uint64_t amount) { amount_ += amount; }
  bool interrupted() const { return interrupted_; }
  bool goes_on() const { return !interrupted_ && now_ < end_; }
  // Up to the last turn.
  Measured measured() const { return {now_ - begin_, amount_}; }

 private:
  void look(TimePoint now) {
    if (now >= next_look_) {
      interrupted_ = interrupted_ || interrupt_.has_come();
      next_look_ = now + kLook;
    }
    now_ = now;
    if (now - interval_ >= kInterval) report();
  }
  void report() {
    if (!invocation_.quiet() && !invocation_.json())
      print_line(interval_line(part_, interval_ - begin_, now_ - begin_, unit_, amount_ - reported_));
    interval_ = now_;
    reported_ = amount_;
  }

  Invocation& invocation_;
  const Interrupt& interrupt_;
  const int part_;
  const SpeedUnit unit_;
  const TimePoint begin_ = Clock::now();
  const TimePoint end_;
  TimePoint now_ = begin_, interval_ = begin_, next_look_ = begin_;
  std::uint64_t amount_ = 0, reported_ = 0;
  bool interrupted_ = false;
};

// Calls Echo, with a number of calls in flight.
class Calls {
 public:
  // Adds the time of each call to `times`, if not null.
  Calls(Invocation& invocation, Clockwork& clockwork, std::uint32_t in_flight, LatencyHistogram* times)
      : client_(invocation.client()),
        clockwork_(clockwork),
        options_(invocation.rest()),
        times_(times),
        ids_(in_flight) {
    request_.set_payload(std::string(kPayloadBytes, 'x'));
  }
  Calls(const Calls&) = delete;
  Calls& operator=(const Calls&) = delete;
  // No callback may run after this.
  ~Calls() {
    goes_on_ = false;
    for (const auto id : ids_) client_.cancel(id);
    while (running_ != 0) client_.wait(milliseconds(0));
  }

  // Throws Failure.
  Measured run() {
    for (auto& id : ids_) start(id);
    while (clockwork_.goes_on()) {
      clockwork_.turn();
      if (!failure_.ok()) throw failure_of(failure_);
    }
    return clockwork_.measured();
  }

 private:
  void start(CallId& id) {
    const auto begin = times_ == nullptr ? TimePoint() : Clock::now();
    const auto begun = client_.start<Diagnostics::Echo>(
        request_, [this, begin, &id](const Reply<v1::EchoResponse>& reply) { finished(id, begin, reply); }, options_,
        &id);
    if (!begun.ok()) return fail(begun);
    ++running_;
  }
  void finished(CallId& id, TimePoint begin, const Reply<v1::EchoResponse>& reply) {
    --running_;
    if (!reply.ok()) return fail(reply.status());
    if (reply->payload() != request_.payload())
      return fail({Code::kDataLoss, "the host's echo differs from what was sent", {}, false});
    if (times_ != nullptr) times_->add(Clock::now() - begin);
    clockwork_.count(1);
    if (goes_on_) start(id);
  }
  // Keeps the first failure.
  void fail(const Status& status) {
    if (failure_.ok()) failure_ = status;
    goes_on_ = false;
  }

  Client& client_;
  Clockwork& clockwork_;
  const CallOptions options_;
  LatencyHistogram* const times_;
  v1::EchoRequest request_;
  std::vector<CallId> ids_;
  std::size_t running_ = 0;
  bool goes_on_ = true;
  Status failure_;
};

// Throws Failure.
Measured download(Invocation& invocation, Clockwork& clockwork, std::uint32_t length) {
  v1::SourceRequest request;
  request.set_total_bytes(UINT64_MAX);  // more than the time allows
  request.set_chunk_bytes(length);
  auto stream = value_of(invocation.client().open<Diagnostics::Source>(request, invocation.rest()));
  v1::Chunk chunk;
  while (clockwork.goes_on()) {
    auto progress = Progress::kDone;
    while ((progress = stream.try_recv(chunk)) == Progress::kDone) clockwork.count(chunk.data().size());
    if (progress == Progress::kEnded) {
      const auto end = stream.finish();
      throw failure_of(end.ok() ? Status{Code::kDataLoss, "the host ended the stream early", {}, false} : end);
    }
    clockwork.turn();
  }
  return clockwork.measured();  // the destructor cancels the stream
}

// Throws Failure. Counts only what the host confirms.
Measured upload(Invocation& invocation, Clockwork& clockwork, std::uint32_t length) {
  bool closed = false;  // outlives the stream
  auto stream = value_of(invocation.client().open<Diagnostics::Sink>(invocation.rest()));
  stream.on_event([&](unsigned events) { closed = closed || (events & HOSTCALL_CLOSED) != 0; });
  v1::Chunk chunk;
  chunk.set_data(std::string(length, 'x'));
  std::uint64_t sent = 0;
  for (; clockwork.goes_on() && !closed; clockwork.turn())
    while (stream.try_send(chunk) == Progress::kDone) clockwork.count(length), sent += length;
  stream.close_send();
  while (!closed && !clockwork.interrupted()) clockwork.turn();
  if (!closed) return clockwork.measured();
  const auto sink = value_of(stream.finish());
  if (sink.total_bytes() != sent)
    throw Failure{ExitCode::kUnreachable,
                  "the host got " + std::to_string(sink.total_bytes()) + " of " + std::to_string(sent) + " bytes"};
  return clockwork.measured();
}

class SpeedTest : public Verb {
 public:
  void declare(Arguments& arguments) override {
    arguments.option("-t,--time", time_, {kMinTime, kMaxTime},
                     "How long each part measures, from 100ms to 10m; defaults to 3s.");
    arguments.option("-P,--parallel", "N", parallel_, {1, kMaxParallel}, "Calls in flight; defaults to 64.");
    arguments.option("-l,--length", "BYTES", length_, {1, UINT32_MAX},
                     "Size of a stream's messages; defaults to 65536.");
  }
  ExitCode run(Invocation& invocation) override {
    end_at_interrupt();
    invocation.connect();
    invocation.extend(4 * time_);
    auto report = begin(invocation);
    const Interrupt interrupt{SIGINT};
    measure(invocation, interrupt, report);
    print(invocation.json() ? report.to_json() + "\n" : report.to_text());
    return report.latency ? ExitCode::kDone : ExitCode::kNegative;
  }

 private:
  // Throws Failure for options above the VM's limits.
  SpeedReport begin(Invocation& invocation) {
    SpeedReport report;
    report.host = host_name(invocation);
    const auto session = invocation.client().session().value_or(Session());
    report.vm = printable(session.vm_name);
    report.payload_bytes = kPayloadBytes;
    report.parallel = limited("--parallel", parallel_, 64, session.max_streams);
    report.length = limited("--length", length_, kLength, session.max_message_bytes - kChunkOverhead);
    return report;
  }
  // The VM's limit bounds the default. `most` is 0: no limit.
  static std::uint32_t limited(const char* option, std::optional<std::uint64_t> wanted, std::uint32_t usual,
                               std::uint32_t most) {
    if (most == 0) return static_cast<std::uint32_t>(wanted.value_or(usual));
    if (wanted && *wanted > most)
      throw usage(std::string(option) + ": this VM's limits allow at most " + std::to_string(most));
    return static_cast<std::uint32_t>(wanted.value_or(std::min(usual, most)));
  }
  void measure(Invocation& invocation, const Interrupt& interrupt, SpeedReport& report) const {
    int number = 0;
    const auto part = [&](const std::string& title, SpeedUnit unit, auto&& run) -> std::optional<Measured> {
      if (interrupt.has_come()) return std::nullopt;
      ++number;
      if (!invocation.quiet() && !invocation.json()) print_line(title);
      Clockwork clockwork(invocation, interrupt, number, unit, time_);
      const Measured measured = run(clockwork);
      if (measured.amount != 0) return measured;
      if (clockwork.interrupted()) return std::nullopt;
      throw Failure{ExitCode::kDeadline, "nothing came back within " + format_duration(time_)};
    };
    report.latency = part("Latency, one call at a time", SpeedUnit::kCalls,
                          [&](Clockwork& clockwork) { return Calls(invocation, clockwork, 1, &report.times).run(); });
    report.calls =
        part("Calls, " + std::to_string(report.parallel) + " in flight", SpeedUnit::kCalls,
             [&](Clockwork& clockwork) { return Calls(invocation, clockwork, report.parallel, nullptr).run(); });
    report.download = part("Download, messages of " + format_bytes(report.length), SpeedUnit::kBytes,
                           [&](Clockwork& clockwork) { return download(invocation, clockwork, report.length); });
    report.upload = part("Upload, messages of " + format_bytes(report.length), SpeedUnit::kBytes,
                         [&](Clockwork& clockwork) { return upload(invocation, clockwork, report.length); });
  }

  milliseconds time_ = seconds(3);
  std::optional<std::uint64_t> parallel_, length_;
};

}  // namespace

const VerbEntry kSpeedTest{"speedtest", "measure latency and throughput, both ways", kHelp, kExamples,
                           []() -> std::unique_ptr<Verb> { return std::make_unique<SpeedTest>(); }};

}  // namespace hostcall::cli::guest
