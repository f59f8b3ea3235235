// hostcalld: parses the command line, reads the files, builds the daemon's objects from the bottom up, and runs them.
#include <malloc.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <iostream>
#include <optional>
#include <string>

#include "daemon/calls/server.h"
#include "daemon/services/admin_service.h"
#include "daemon/services/diagnostics_service.h"
#include "daemon/services/host_service.h"
#include "daemon/services/session_service.h"
#include "daemon/services/store_host.h"
#include "daemon/services/store_service.h"
#include "proto/base/bounded_text.h"
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
  std::string config_file = config_directory() + "/hostcalld.json";
  bool check_only = false;
};

// Output that can't be printed is an error.
void require_output() {
  if (!std::cout.flush()) throw std::runtime_error("can't write to standard output");
}

// Returns an exit code if the command line leaves nothing to run. Throws.
std::optional<int> parse_options(int argc, char** argv, Options& options) {
  CLI::App app(
      "hostcalld serves calls from virtual machines to their host over AF_VSOCK.\n"
      "systemd runs it (hostcalld.service); hostcallctl(1) administers it.");
  app.add_option("--config", options.config_file, "Configuration file (JSON with comments)")->capture_default_str();
  app.add_flag("--check", options.check_only,
               "Check configuration, VM records and policy, and exit: 0 if they are valid");
  app.set_version_flag("--version", "hostcalld " HOSTCALL_VERSION);
  app.footer(
      "Signals: SIGHUP reloads configuration, VM records and policy; SIGTERM finishes running calls and exits.\n"
      "Exit codes: 0 stopped cleanly, 1 failed to start, 2 wrong usage.");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (app.exit(error) != 0) return 2;
    require_output();
    return 0;
  }
  return std::nullopt;
}

int run(const Options& options) {
  auto settings = Settings::read(options.config_file);
  if (options.check_only) {
    std::cout << options.config_file << ": valid, " << settings.vms.size() << " VMs, " << settings.policy.rules().size()
              << " policy rules\n";
    require_output();
    return 0;
  }
  auto config = settings.config;
  Journal journal(
      {.level = level_of(config.log_level).value_or(Level::kInfo), .to_journal = Journal::journal_is_stderr()});
  Audit audit(journal);
  Stats stats;
  Reactor reactor;
  reactor.set_busy_poll(config.busy_poll);
  Registry registry({.runtime_file = config.runtime_directory + "/vms.json",
                     .state_file = config.state_directory + "/vms.json",
                     .own_sockets = config.own_sockets()},
                    config.limits);
  registry.replace_files(settings.vms, config.limits);
  Access access(std::move(settings.policy));
  StoreHost store(reactor, journal, config.state_directory);
  Router router;
  register_session_service(router, store.engine());
  register_host_service(router, {.daemon_started = reactor.now(), .root = {}});
  register_diagnostics_service(router, reactor);
  register_store_service(router, store.engine(), reactor);
  Server server({.reactor = reactor,
                 .journal = journal,
                 .audit = audit,
                 .stats = stats,
                 .config = config,
                 .registry = registry,
                 .access = access,
                 .router = router,
                 .lifetimes = store},
                options.config_file);
  register_admin_service(router, {.reactor = reactor,
                                  .stats = stats,
                                  .config = config,
                                  .registry = registry,
                                  .access = access,
                                  .store = store.engine(),
                                  .server = server});
  ::signal(SIGPIPE, SIG_IGN);
  reactor.on_signal(SIGTERM, [&] { server.shut_down(); });
  reactor.on_signal(SIGINT, [&] { server.shut_down(); });
  reactor.on_signal(SIGHUP, [&] { (void)server.reload(); });  // journals its errors
  reactor.enable_watchdog();
  server.start();
  Reactor::notify_systemd("READY=1");
  reactor.run();
  return 0;
}

}  // namespace
}  // namespace hostcall::daemon

int main(int argc, char** argv) {
  using namespace hostcall::daemon;
  hostcall::open_standard_fds();
  hostcall::quiet_protobuf();
  // Keeps the pages of a stream's messages. Otherwise each turn returns them to the kernel and takes new ones.
  ::mallopt(M_TRIM_THRESHOLD, kKeptHeapBytes);
  try {
    Options options;
    if (const auto code = parse_options(argc, argv, options)) return *code;
    return run(options);
  } catch (const std::exception& error) {
    // stderr may have no reader, and signals may be blocked.
    hostcall::try_to_say("hostcalld: " + hostcall::bounded_text(error.what(), kMaxLastWords) + '\n');
    return 1;
  }
}
