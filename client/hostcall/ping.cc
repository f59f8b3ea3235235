// hostcall ping: measures the round trip through connection, policy and dispatch. Runs its own event loop, so that
// Ctrl-C can end the run and print the statistics.
#include <algorithm>
#include <memory>

#include "client/cli/duration.h"
#include "client/cli/interrupt.h"
#include "client/cli/output.h"
#include "client/cli/text.h"
#include "client/hostcall/guest_verbs.h"
#include "client/hostcall/host_name.h"
#include "client/hostcall/ping_statistics.h"
#include "hostcall/v1/session.hostcall.h"

namespace hostcall::cli::guest {
namespace {

constexpr char kHelp[] = R"(Calls the host several times and prints each round trip. Connects before the
first ping; every ping passes the host's policy like any other call. A ping
without a reply after 5 s (or a shorter --timeout) is lost. --timeout bounds the
waiting, without the pauses between pings. Ctrl-C ends the run and prints the
statistics. With -q, prints only the statistics.

Exits with 0 if any reply came, else with the code of the last failure, or with 1
if Ctrl-C came first. Before it has connected, Ctrl-C ends it at once (130).
)";

constexpr char kExamples[] = R"(  hostcall ping
  hostcall ping -c 1000 -i 1ms -q
)";

constexpr std::uint64_t kMaxCount = 1'000'000;
constexpr Duration kReplyWait = seconds(5);

// Whether the next ping would fail the same way.
bool is_final(const Status& status) {
  const auto code = exit_code_of(status.code);
  return code == ExitCode::kDenied || code == ExitCode::kNoSuchMethod || code == ExitCode::kUsage;
}

class PingRun {
 public:
  PingRun(Invocation& invocation, std::string vm, std::string host)
      : invocation_(invocation), vm_(std::move(vm)), host_(std::move(host)) {}

  // Sends one and waits for its end. Throws Failure if the next would fail the same way.
  void ping(std::uint64_t seq) {
    auto& client = invocation_.client();
    const auto start = Clock::now();
    const auto wait = std::chrono::ceil<milliseconds>(std::min(kReplyWait, invocation_.deadline() - start));
    // Shared, because a call whose ping is given up with an exception ends with the client.
    const auto answer = std::make_shared<Answer>();
    CallId call = 0;
    const auto on_end = [answer, start](const Reply<v1::PingResponse>& reply) {
      answer->time = Clock::now() - start, answer->end = reply.status();
    };
    statistics_.sent();
    const auto begun = client.start<v1::Session::Ping>({}, on_end, {.timeout = std::max(wait, milliseconds(1))}, &call);
    if (!begun.ok()) throw failure_of(begun);
    while (!answer->end) {
      turn(kNever);  // the client ends the call at its deadline
      if (interrupted_) client.cancel(call);
    }
    if (answer->end->code != Code::kCancelled) report(seq, answer->time, *answer->end);
  }
  // Processes the client until then, which keeps the connection alive.
  void pause(TimePoint until) {
    while (!interrupted_ && Clock::now() < until) turn(until);
  }

  bool interrupted() const { return interrupted_; }
  void print_statistics() const {
    print(invocation_.json() ? statistics_.to_json(vm_, host_) + "\n" : statistics_.to_text(host_));
  }
  ExitCode exit_code() const {
    if (statistics_.received_count() != 0) return ExitCode::kDone;
    return last_failure_.ok() ? ExitCode::kNegative : failure_of(last_failure_).code;
  }

 private:
  struct Answer {
    Duration time{};
    std::optional<Status> end;
  };

  void turn(TimePoint until) {
    interrupted_ =
        cli::turn(invocation_.client(), {.interrupt = interrupt_, .needs_reader = true}, until) || interrupted_;
  }
  void report(std::uint64_t seq, Duration time, const Status& status) {
    if (is_final(status)) throw failure_of(status);
    if (status.ok())
      statistics_.received(time);
    else
      last_failure_ = status;
    if (invocation_.quiet() || invocation_.json()) return;
    const auto number = ": seq=" + std::to_string(seq);
    print_line(status.ok() ? "reply from " + host_ + " to " + vm_ + number + " time=" + format_ms(time)
                           : "no reply" + number + ": " + failure_of(status).text);
  }

  Invocation& invocation_;
  const std::string vm_, host_;
  const Interrupt interrupt_{SIGINT};
  bool interrupted_ = false;
  Status last_failure_;
  PingStatistics statistics_;
};

class Ping : public Verb {
 public:
  void declare(Arguments& arguments) override {
    arguments.option("-c,--count", "N", count_, {1, kMaxCount}, "Number of pings; defaults to 4.");
    arguments.option("-i,--interval", interval_, {}, "Time between the starts of two pings; defaults to 1s.");
  }
  ExitCode run(Invocation& invocation) override {
    end_at_interrupt();
    invocation.connect();
    invocation.extend(interval_ * (*count_ - 1));
    const auto session = invocation.client().session();
    PingRun run(invocation, printable(session ? session->vm_name : ""), host_name(invocation));
    for (std::uint64_t seq = 1; seq <= *count_ && !run.interrupted() && Clock::now() < invocation.deadline(); ++seq) {
      const auto next = Clock::now() + interval_;
      run.ping(seq);
      if (seq < *count_) run.pause(next);
    }
    run.print_statistics();
    return run.exit_code();
  }

 private:
  std::optional<std::uint64_t> count_ = 4;
  milliseconds interval_ = seconds(1);
};

}  // namespace

const VerbEntry kPing{"ping", "measure the round trip to the host", kHelp, kExamples,
                      []() -> std::unique_ptr<Verb> { return std::make_unique<Ping>(); }};

}  // namespace hostcall::cli::guest
