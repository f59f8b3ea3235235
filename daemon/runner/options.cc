#include "daemon/runner/options.h"

#include <getopt.h>

#include <charconv>
#include <cstdio>
#include <string_view>
#include <utility>

#include "daemon/config/config.h"
#include "proto/base/escape.h"
#include "proto/base/try_write.h"

namespace hostcall::daemon {
namespace {

constexpr int kWrongUsage = 2;
constexpr int kNoOutput = 125;

enum Option : int { kDirect = 1, kSystemd, kTcp, kConnect, kSocketFd, kUser, kServices, kHelp, kVersion };

constexpr option kOptions[] = {{"direct", no_argument, nullptr, kDirect},
                               {"systemd", no_argument, nullptr, kSystemd},
                               {"tcp", no_argument, nullptr, kTcp},
                               {"connect", required_argument, nullptr, kConnect},
                               {"socket-fd", required_argument, nullptr, kSocketFd},
                               {"user", required_argument, nullptr, kUser},
                               {"services", required_argument, nullptr, kServices},
                               {"help", no_argument, nullptr, kHelp},
                               {"version", no_argument, nullptr, kVersion},
                               {}};

using Way = RunnerOptions::Way;

std::vector<std::string> default_services() {
  return {config_directory() + "/services.d", vendor_directory() + "/services.d"};
}

std::string help() {
  const auto directories = default_services();
  return "Usage: hostcall-runner --systemd [OPTION]...\n"
         "       hostcall-runner --tcp [OPTION]...\n"
         "       hostcall-runner --direct --socket-fd N [OPTION]...\n"
         "       hostcall-runner --connect unix:PATH\n\n"
         "hostcall-runner starts the programs of services.d for hostcalld, and connects to sockets that hostcalld may "
         "not\n"
         "reach. systemd or hostcalld runs it; there is no need to do so by hand.\n\n"
         "  --systemd        start programs in transient units of systemd (hostcall-runner.service)\n"
         "  --tcp            only connect to TCP sockets (hostcall-connect.service)\n"
         "  --direct         start programs as this user's own processes, where systemd does not run the host\n"
         "  --connect ADDR   connect to a socket and send it to standard input, itself a socket\n"
         "  --socket-fd N    the connection to hostcalld, a SOCK_SEQPACKET socket; the programs end when it closes\n"
         "  --user NAME      hostcalld's user, the only one to obey. Default: hostcall\n"
         "  --services DIR   read services from here; more than once: earlier ones take precedence.\n"
         "                   Default: " +
         directories[0] + " and\n                   " + directories[1] +
         "\n  --help, --version\n\n"
         "Exit codes: 0 no connection is left and all programs have ended, 1 failed, 2 wrong usage, 125 the output "
         "can't\n"
         "be written.\n";
}

int wrong(const std::string& what) {
  try_to_say("hostcall-runner: " + what + "; see hostcall-runner --help\n");
  return kWrongUsage;
}

int print(const std::string& text) {
  return std::fputs(text.c_str(), stdout) < 0 || std::fflush(stdout) != 0 ? kNoOutput : 0;
}

bool read_descriptor(std::string_view text, int& fd) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), fd);
  return error == std::errc() && end == text.data() + text.size() && fd > 2;
}

std::optional<int> check(RunnerOptions& options) {
  if (options.way == Way::kNone) return wrong("one of --systemd, --tcp, --direct and --connect is missing");
  if (options.way == Way::kDirect && options.socket_fd < 0) return wrong("--socket-fd is missing");
  if (options.services.empty()) options.services = default_services();
  return std::nullopt;
}

// False: the option has a wrong value, or a second one of its kind.
bool take_option(int option, RunnerOptions& options) {
  const auto go = [&options](Way way) { return std::exchange(options.way, way) == Way::kNone; };
  switch (option) {
    case kDirect: return go(Way::kDirect);
    case kSystemd: return go(Way::kSystemd);
    case kTcp: return go(Way::kTcp);
    case kConnect: options.address = ::optarg; return go(Way::kConnect);
    case kSocketFd: return read_descriptor(::optarg, options.socket_fd);
    case kUser: options.user = ::optarg; return true;
    case kServices: options.services.emplace_back(::optarg); return true;
    default: return false;
  }
}

}  // namespace

std::optional<int> parse_runner_options(int argc, char** argv, RunnerOptions& options) {
  ::opterr = 0;
  for (int found = 0; (found = ::getopt_long(argc, argv, "", kOptions, nullptr)) != -1;) {
    if (found == kHelp) return print(help());
    if (found == kVersion) return print("hostcall-runner " HOSTCALL_VERSION "\n");
    if (!take_option(found, options)) return wrong("unknown or wrong option: " + escape(argv[::optind - 1]));
  }
  if (::optind < argc) return wrong("unexpected argument: " + escape(argv[::optind]));
  return check(options);
}

}  // namespace hostcall::daemon
