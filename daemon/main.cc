// hostcalld: parses the command line, reads the files, builds the daemon's objects from the bottom up, and runs them.
#include <fcntl.h>
#include <grp.h>
#include <malloc.h>
#include <sys/stat.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <exception>
#include <iostream>
#include <new>
#include <optional>
#include <set>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>

#include "daemon/calls/server.h"
#include "daemon/handover/fd_store.h"
#include "daemon/handover/incoming.h"
#include "daemon/handover/outgoing.h"
#include "daemon/handover/systemd_job.h"
#include "daemon/loop/descriptors.h"
#include "daemon/loop/inherited.h"
#include "daemon/services/admin_service.h"
#include "daemon/services/diagnostics_service.h"
#include "daemon/services/host_runner.h"
#include "daemon/services/host_service.h"
#include "daemon/services/method_names.h"
#include "daemon/services/metrics_socket.h"
#include "daemon/services/relay_service.h"
#include "daemon/services/routed_service.h"
#include "daemon/services/run_service.h"
#include "daemon/services/session_service.h"
#include "daemon/services/store_host.h"
#include "daemon/services/store_service.h"
#include "daemon/store/restore.h"
#include "proto/base/bounded_text.h"
#include "proto/base/count.h"
#include "proto/base/escape.h"
#include "proto/base/standard_fds.h"
#include "proto/base/try_write.h"
#include "proto/base/unique_fd.h"
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
  std::string restore_file;  // empty: nothing to restore
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
  if (files.size() > 1) throw CLI::ParseError(option.get_name() + " is given more than once", kWrongUsage);
  if (files.size() == 1 && files[0].empty())
    throw CLI::ParseError(option.get_name() + ": the name of the file is empty", kWrongUsage);
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
  const auto* restore =
      app.add_option("--restore-store")
          ->type_name("FILE")
          ->take_all()
          ->description(
              "Check the copy of a store, put it in the place of the store, which is kept beside it, and "
              "exit; no hostcalld may be running (hostcallctl store restore)");
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
    options.restore_file = file_of(*restore);
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

void forget_at_systemd(Journal& journal) {
  if (const auto forgotten = daemon::forget_at_systemd(); !forgotten.ok())
    journal.write(Level::kError, MessageId::kSystemError,
                  "systemd may still keep what the hostcalld before has handed over: " + forgotten.error().message());
}

// What the daemon before has handed over. Nothing: it was the first one, or has stopped; or it can't be used.
std::optional<Incoming> take_over(Journal& journal, StoredDescriptors stored) {
  auto parcel = take_from_systemd(std::move(stored));
  if (parcel.ok() && !*parcel) return std::nullopt;
  auto incoming = parcel.ok() ? Incoming::read((*parcel)->state, std::move((*parcel)->descriptors))
                              : Result<Incoming>(std::move(parcel).error());
  if (incoming.ok()) return std::move(*incoming);
  journal.write(Level::kError, MessageId::kSystemError,
                "the connections of the hostcalld before are lost: " + incoming.error().message());
  forget_at_systemd(journal);
  return std::nullopt;
}

Error give_and_exit(const Outgoing& parcel) {
  auto given = give_to_systemd(parcel.state(), parcel.descriptors());
  if (given.ok()) ::_exit(0);
  return std::move(given).error();
}

std::set<std::string> sessions_of(const Incoming& incoming) {
  std::set<std::string> sessions;
  for (const auto& connection : incoming.connections) sessions.insert(std::to_string(connection.session()));
  return sessions;
}

double unix_time() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

// As the owner of the state directory, whose file the store is: nothing that this user could have put there leads root
// elsewhere. Throws std::runtime_error.
void become_owner_of(const std::string& directory) {
  struct stat status {};
  if (::stat(directory.c_str(), &status) != 0)
    throw std::runtime_error("the state directory " + directory + ": " + std::strerror(errno));
  if (::geteuid() != 0 || status.st_uid == 0) return;
  if (::setgroups(0, nullptr) != 0 || ::setgid(status.st_gid) != 0 || ::setuid(status.st_uid) != 0)
    throw std::runtime_error("become the owner of " + directory + ": " + std::strerror(errno));
}

int restore(const Options& options) {
  const auto copy = UniqueFd::adopt(::open(options.restore_file.c_str(), O_RDONLY | O_CLOEXEC));
  if (!copy) throw std::runtime_error(in_quotes(options.restore_file) + ": " + std::strerror(errno));
  // Policy and VM records may be broken: they are no part of the store.
  const auto config = Config::read(config_file_in_force(options.config_file));
  become_owner_of(config.state_directory);
  const auto path = config.state_directory + "/store.db";
  const auto kept = store::restore_store(copy.get(), path);
  std::cout << "restored the store " << path
            << (kept.empty() ? "; there was none before" : "; the one before is kept as " + kept) << "\n";
  require_output();
  return 0;
}

int run(const Options& options) {
  if (options.check_only) return check(options.config_file);
  if (!options.restore_file.empty()) return restore(options);
  auto settings = Settings::read(options.config_file);
  auto config = settings.config;
  Events events;
  Journal journal({.level = level_of(config.log_level).value_or(Level::kInfo),
                   .to_journal = Journal::journal_is_stderr(),
                   .with_time = true});
  journal.observe(&events);
  Audit audit(journal);
  auto inherited = take_inherited();
  if (!inherited.ok()) throw std::runtime_error(inherited.error().message());
  for (const auto& warning : inherited->warnings) journal.write(Level::kWarning, MessageId::kSystemError, warning);
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
  const HostCallEnvironment environment{
      .reactor = reactor, .catalog = catalog, .runner = runner, .calls = host_calls, .timeouts = config.timeouts};
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
  const MetricSources metrics{.stats = stats,
                              .config = config,
                              .registry = registry,
                              .access = access,
                              .router = router,
                              .host_calls = host_calls,
                              .store = store.engine(),
                              .store_condition = store.condition(),
                              .server = server,
                              .started = unix_time()};
  register_admin_service(router, {.reactor = reactor,
                                  .audit = audit,
                                  .events = events,
                                  .config = config,
                                  .registry = registry,
                                  .access = access,
                                  .catalog = catalog,
                                  .host_calls = host_calls,
                                  .store = store.engine(),
                                  .store_condition = store.condition(),
                                  .metrics = metrics,
                                  .server = server,
                                  .background = store,
                                  .config_file = options.config_file});
  ::signal(SIGPIPE, SIG_IGN);
  const auto hand_over = [&] {
    server.hand_over(give_and_exit, [&](Outgoing& parcel) {
      runner.hand_over(parcel);
      catalog.hand_over(reactor.now(), parcel);
    });
  };
  reactor.on_signal(SIGTERM, [&] { systemd_job() == SystemdJob::kRestart ? hand_over() : server.shut_down(); });
  reactor.on_signal(SIGINT, [&] { server.shut_down(); });
  reactor.on_signal(SIGHUP, [&] { server.reload({}); });  // journals its outcome
  reactor.enable_watchdog();
  // Last, because it can be tried twice only.
  auto before = take_over(journal, std::move(inherited->stored)).value_or(Incoming());
  store.end_old_sessions(sessions_of(before));
  runner.take_up(before);
  server.start(std::move(inherited->sockets), before);
  if (!before.daemon.epoch().empty()) forget_at_systemd(journal);
  MetricsSocket metrics_socket(reactor, journal, metrics);
  if (const auto path = config.metrics_path(); !path.empty()) metrics_socket.start(path, config.admin_group);
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
  // The other thread has nobody who catches what it throws without memory.
  std::set_terminate([] {
    hostcall::try_to_say("hostcalld: out of memory\n");
    ::_exit(1);
  });
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
