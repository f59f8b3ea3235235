// hostcalld: parses the command line, reads the files, builds the daemon's objects from the bottom up, and runs them.
#include <malloc.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <iostream>
#include <new>
#include <optional>
#include <span>
#include <string>

#include "daemon/calls/server.h"
#include "daemon/loop/descriptors.h"
#include "daemon/services/admin_service.h"
#include "daemon/services/diagnostics_service.h"
#include "daemon/services/host_runner.h"
#include "daemon/services/host_service.h"
#include "daemon/services/method_names.h"
#include "daemon/services/relay_service.h"
#include "daemon/services/routed_service.h"
#include "daemon/services/run_service.h"
#include "daemon/services/session_service.h"
#include "daemon/services/store_host.h"
#include "daemon/services/store_service.h"
#include "proto/base/bounded_text.h"
#include "proto/base/count.h"
#include "proto/base/escape.h"
#include "proto/base/standard_fds.h"
#include "proto/base/try_write.h"
#include "proto/protobuf_log.h"

namespace hostcall::daemon {
namespace {

// Free memory that the end of the heap keeps.
constexpr int kKeptHeapBytes = 2 * 1024 * 1024;
// A pipe takes this much at once, so the daemon's last error arrives whole.
constexpr std::size_t kMaxLastWords = 4000;

struct Options {
  std::string config_file;  // empty: the one in force
  bool check_only = false;
};

constexpr int kWrongUsage = 2;
constexpr char kSeeHelp[] = "; see hostcalld --help";
// As for the command lines.
constexpr int kNoOutput = 125;

// A failure with an exit code of its own.
struct Exit {
  int code;
  std::string text;
};

// Output that can't be printed is an error. Throws Exit.
void require_output() {
  if (!std::cout.flush()) throw Exit{kNoOutput, std::string("write to standard output: ") + std::strerror(errno)};
}

// In our own words.
std::string text_of(const CLI::ParseError& error, const CLI::App& app, const std::string& last_word) {
  if (dynamic_cast<const CLI::ExtrasError*>(&error) != nullptr)
    return "unexpected argument: " + CLI::detail::join(app.remaining(true), " ");
  // Options take the next word, so that only the last one can lack its value.
  if (dynamic_cast<const CLI::ArgumentMismatch*>(&error) != nullptr) return last_word + " needs a value";
  return error.what();
}

// Empty: not given. Throws CLI::ParseError.
std::string file_of(const CLI::Option& option) {
  const auto& files = option.results();
  if (files.size() > 1) throw CLI::ParseError("--config is given more than once", kWrongUsage);
  if (files.size() == 1 && files[0].empty())
    throw CLI::ParseError("--config: the name of the file is empty", kWrongUsage);
  return files.empty() ? std::string() : files[0];
}

// Throws CLI::ParseError.
bool is_set(const CLI::Option& flag) {
  for (const auto& value : flag.results())
    if (value != "true") throw CLI::ParseError("--check takes no value", kWrongUsage);
  return !flag.results().empty();
}

// Returns an exit code if the command line leaves nothing to run. Throws Exit.
std::optional<int> parse_options(int argc, char** argv, Options& options) {
  CLI::App app(
      "hostcalld serves calls from virtual machines to their host over AF_VSOCK.\n"
      "systemd runs it (hostcalld.service); hostcallctl administers it.");
  const auto* config =
      app.add_option("--config")
          ->type_name("FILE")
          ->take_all()
          ->description("Configuration file, JSON with comments. Default: " + config_directory() +
                        "/hostcalld.json, or if that does not exist " + vendor_directory() + "/hostcalld.json");
  const auto* check = app.add_flag("--check")->description(
      "Do all that a start does before it listens, and exit: 0 if nothing is wrong; an error in services.d, which "
      "disables only its own service, is a warning");
  app.set_version_flag("--version", "hostcalld " HOSTCALL_VERSION);
  app.footer(
      "Signals: SIGHUP reloads configuration, VM records, services and policy; SIGTERM finishes running calls and "
      "exits.\n"
      "Exit codes: 0 stopped cleanly, 1 failed to start, 2 wrong usage, 125 the output can't be written.");
  for (const std::string_view word : std::span(argv, static_cast<std::size_t>(argc)))
    // CLI11 would take the next word as its value.
    if (word.starts_with("--") && word.ends_with('='))
      throw Exit{kWrongUsage, escape(word) + " needs a value" + kSeeHelp};
  try {
    app.parse(argc, argv);
    options.config_file = file_of(*config);
    options.check_only = is_set(*check);
  } catch (const CLI::Success& asked) {
    app.exit(asked);  // prints help or version
    require_output();
    return 0;
  } catch (const CLI::ParseError& error) {
    throw Exit{kWrongUsage, escape_message(text_of(error, app, argv[argc - 1])) + kSeeHelp};
  }
  return std::nullopt;
}

// Warnings go to standard error. They are not errors.
int check(const std::string& config_file) {
  const auto found = check_start(config_file, all_methods());
  for (const auto& warning : found.warnings) try_to_say("hostcalld: warning: " + escape_message(warning) + "\n");
  std::cout << found.file << ": valid, " << count(found.vms, "VM") << ", " << count(found.rules, "policy rule") << ", "
            << count(found.services, "service") << "\n";
  require_output();
  return 0;
}

int run(const Options& options) {
  if (options.check_only) return check(options.config_file);
  auto settings = Settings::read(options.config_file);
  auto config = settings.config;
  Journal journal(
      {.level = level_of(config.log_level).value_or(Level::kInfo), .to_journal = Journal::journal_is_stderr()});
  Audit audit(journal);
  Stats stats;
  Reactor reactor;
  reactor.set_busy_poll(config.busy_poll);
  // First, because it refuses a second daemon, which must not touch the registry's files.
  StoreHost store(reactor, journal, config.state_directory);
  Registry registry(registry_paths(config), config.limits);
  registry.replace_files(std::move(settings.vms), config.limits);
  Access access(std::move(settings.policy));
  ServiceCatalog catalog(std::move(settings.services));
  HostRunner runner(reactor, {.socket_directory = config.runner_directory(),
                              .program = runner_beside_this_program(),
                              .services = config.services_directories()});
  HostCalls host_calls;
  Router router;
  register_session_service(router, store.engine(), catalog);
  register_host_service(router, {.daemon_started = reactor.now(), .root = {}});
  register_diagnostics_service(router, reactor);
  register_store_service(router, store.engine(), reactor);
  const HostCallEnvironment environment{reactor, catalog, runner, host_calls};
  register_relay_service(router, environment);
  register_run_service(router, environment);
  const RoutedServices routed(environment);
  router.add_routes(routed);
  Server server({.reactor = reactor,
                 .journal = journal,
                 .audit = audit,
                 .stats = stats,
                 .config = config,
                 .registry = registry,
                 .access = access,
                 .catalog = catalog,
                 .router = router,
                 .lifetimes = store,
                 .background = store},
                options.config_file);
  register_admin_service(router, {.reactor = reactor,
                                  .stats = stats,
                                  .config = config,
                                  .registry = registry,
                                  .access = access,
                                  .catalog = catalog,
                                  .host_calls = host_calls,
                                  .store = store.engine(),
                                  .store_condition = store.condition(),
                                  .server = server,
                                  .background = store,
                                  .config_file = options.config_file});
  ::signal(SIGPIPE, SIG_IGN);
  reactor.on_signal(SIGTERM, [&] { server.shut_down(); });
  reactor.on_signal(SIGINT, [&] { server.shut_down(); });
  reactor.on_signal(SIGHUP, [&] { server.reload({}); });  // journals its outcome
  reactor.enable_watchdog();
  server.start();
  Reactor::notify_systemd("READY=1");
  reactor.run();
  return 0;
}

// stderr may have no reader, and signals may be blocked.
void say_at_last(std::string_view text) { try_to_say("hostcalld: " + bounded_text(text, kMaxLastWords) + '\n'); }

}  // namespace
}  // namespace hostcall::daemon

int main(int argc, char** argv) {
  using namespace hostcall::daemon;
  hostcall::open_standard_fds();
  hostcall::quiet_protobuf();
  // Keeps the pages of a stream's messages. Otherwise each turn returns them to the kernel and takes new ones.
  ::mallopt(M_TRIM_THRESHOLD, kKeptHeapBytes);
  raise_descriptor_limit();
  try {
    Options options;
    if (const auto code = parse_options(argc, argv, options)) return *code;
    return run(options);
  } catch (const std::bad_alloc&) {
    hostcall::try_to_say("hostcalld: out of memory\n");
    return 1;
  } catch (const Exit& exit) {
    say_at_last(exit.text);
    return exit.code;
  } catch (const std::exception& error) {
    say_at_last(error.what());
    return 1;
  }
}
