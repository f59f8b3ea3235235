// Run/Start of a program on an open connection, in turn with fork, exec and wait of the same program; prints one line
// of JSON. Usage: bench-hostcall-run ADDRESS SERVICE PROGRAM CALLS
#include <hostcall/client.h>
#include <sys/wait.h>
#include <unistd.h>

#include <vector>

#include "hostcall/v1/run.hostcall.h"
#include "tests/bench/harness/main.h"
#include "tests/bench/harness/measure.h"
#include "tests/bench/hostcall/require_ok.h"

namespace hostcall::bench {
namespace {

using v1::Run::Start;

constexpr double kMostSamplesSeconds = 1;  // room for far more samples than there are
constexpr int kWarmup = 5;

void run_by_host(hostcall::Client& client, const std::string& service) {
  v1::StartRequest request;
  request.set_service(service);
  request.set_stdin_eof(true);
  v1::StartResponse response;
  auto call = client.open<Start>();
  require_ok(call.status());
  bool ended_well = false;
  if (call->send(request))
    while (call->recv(response)) ended_well = response.has_ended() && response.ended().exit_code() == 0;
  require_ok(call->finish());
  require(ended_well, "the program did not end well");
}

void run_here(const std::string& program) {
  char* const argv[] = {const_cast<char*>(program.c_str()), nullptr};
  const auto child = ::fork();
  require(child >= 0, "fork");
  if (child == 0) {
    ::execv(argv[0], argv);
    ::_exit(127);
  }
  int status = 0;
  require(::waitpid(child, &status, 0) == child && status == 0, "the program did not end well here");
}

void run(const std::vector<std::string>& words) {
  require(words.size() == 4, "usage: bench-hostcall-run ADDRESS SERVICE PROGRAM CALLS");
  auto client = hostcall::Client::make({.address = words[0], .client_name = "bench"});
  require_ok(client.status());
  for (int i = 0; i < kWarmup; ++i) run_by_host(*client, words[1]), run_here(words[2]);
  Latencies by_host(kMostSamplesSeconds), here(kMostSamplesSeconds);
  for (auto calls = std::stoul(words[3]); calls > 0; --calls) {
    const auto begin = Clock::now();
    run_by_host(*client, words[1]);
    const auto middle = Clock::now();
    run_here(words[2]);
    here.record(Clock::now() - middle);
    by_host.record(middle - begin);
  }
  Result result;
  result.add_percentiles("run", by_host);
  result.add_percentiles("fork", here);
  result.print();
}

}  // namespace
}  // namespace hostcall::bench

int main(int argc, char** argv) { return hostcall::bench::run_with_words(argc, argv, hostcall::bench::run); }
