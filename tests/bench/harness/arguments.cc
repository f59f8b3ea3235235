#include "tests/bench/harness/arguments.h"

#include <CLI/CLI.hpp>
#include <cstdlib>

namespace hostcall::bench {
namespace {

constexpr std::string_view kUnix = "unix:";
constexpr std::string_view kNumber = "{}";

void declare(CLI::App& app, Arguments& arguments) {
  app.add_option("--address", arguments.address, "of the server, unix:/path")->required();
  app.add_option("--work", arguments.work, "what to measure")->required();
  app.add_option("--mode", arguments.mode, "way of using the system");
  app.add_option("--payload", arguments.payload, "bytes of each call");
  app.add_option("--in-flight", arguments.in_flight, "calls at once on one connection")->check(CLI::Range(1, 100'000));
  app.add_option("--connections", arguments.connections, "connections at once")->check(CLI::Range(1, 100'000));
  app.add_option("--seconds", arguments.seconds, "to measure")->check(CLI::Range(0.01, 3600.0));
  app.add_option("--warmup", arguments.warmup, "seconds before that")->check(CLI::Range(0.0, 3600.0));
  app.add_option("--calls", arguments.calls, "to measure, instead of a time");
  app.add_option("--chunk", arguments.chunk, "bytes of a stream's message")->check(CLI::PositiveNumber);
  app.add_option("--bytes", arguments.bytes, "of one stream")->check(CLI::PositiveNumber);
  app.add_option("--late", arguments.late_percent, "percent of calls that are answered 5 ms late")
      ->check(CLI::Range(0, 100));
  app.add_option("--busy-poll", arguments.busy_poll_usec, "microseconds of looking before sleeping, of hostcall");
  app.add_option("--server", arguments.server, "process whose CPU time is counted");
}

}  // namespace

Arguments Arguments::parse(int argc, char** argv) {
  Arguments arguments;
  CLI::App app("One measurement; prints its result as one line of JSON.");
  declare(app, arguments);
  try {
    app.parse(argc, argv);
    if (!arguments.address.starts_with(kUnix) && !arguments.address.starts_with("vsock:"))
      throw CLI::ValidationError("--address", "must begin with unix: or vsock:");
    if (arguments.bytes % arguments.chunk != 0) throw CLI::ValidationError("--bytes", "must be whole chunks");
  } catch (const CLI::ParseError& error) {
    std::exit(app.exit(error) == 0 ? 0 : 2);
  }
  return arguments;
}

std::string Arguments::address_of(unsigned connection) const {
  auto text = address;
  if (const auto at = text.find(kNumber); at != std::string::npos)
    text.replace(at, kNumber.size(), std::to_string(connection));
  return text;
}

std::string Arguments::path_of(unsigned connection) const { return address_of(connection).substr(kUnix.size()); }

}  // namespace hostcall::bench
