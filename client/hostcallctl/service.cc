// hostcallctl service: lists, shows and checks the services of services.d.
#include "client/cli/duration.h"
#include "client/cli/output.h"
#include "client/cli/text.h"
#include "client/hostcallctl/host_verbs.h"
#include "client/hostcallctl/pages.h"
#include "client/hostcallctl/warnings.h"
#include "hostcall/v1/admin.hostcall.h"
#include "proto/base/escape.h"

namespace hostcall::cli::host {
namespace {

constexpr char kListHelp[] = R"(Lists the services of services.d in force by name: the program, socket or server,
whose it is, how many calls use it now, how many may at once, in all and of each VM, and
where it is described. Below them, the services that are disabled, with the reason.
With -q, prints only the names of those in force.
)";

constexpr char kListExamples[] = R"(  hostcallctl service list
  hostcallctl service list --json | jq '.services[] | select(.disabled != "")'
)";

constexpr char kShowHelp[] = R"(Shows all that services.d says of one service in force, and its present use; or why
it is disabled. -q leaves nothing out.
)";

constexpr char kShowExamples[] = R"(  hostcallctl service show backup
  hostcallctl service show backup --json | jq .program.command
)";

constexpr char kCheckHelp[] = R"(Asks hostcalld to read services.d as its files are now, without putting them in
force. Prints each error with file and line, and exits with 1 if there is one: the
service would be disabled. Warns of services whose user, program or directory does
not exist, of programs that are not executable or that others could change, of what
needs systemd where hostcalld starts programs itself, and of sockets that are
hostcalld's own. Warnings do not change the exit code. Without a running daemon, hostcalld --check prints the
errors, as warnings that do not change its exit code. With -q, prints only errors
and warnings.
)";

constexpr char kCheckExamples[] = R"(  hostcallctl service check && hostcallctl policy reload
)";

std::string kind_name(const v1::ServiceState& service) {
  switch (service.kind()) {
    case v1::SERVICE_KIND_PROGRAM: return "program";
    case v1::SERVICE_KIND_SOCKET: return "socket";
    case v1::SERVICE_KIND_SERVER: return "server";
    default: return service.disabled().empty() ? "(unknown)" : "disabled";  // one that a newer hostcalld knows
  }
}

std::string user_name(const v1::ServiceState& service) {
  if (!service.user().empty()) return service.user();
  return service.kind() == v1::SERVICE_KIND_PROGRAM ? "(its own)" : "(hostcalld's)";
}

class ServiceTable {
 public:
  std::string text_of(const v1::ServiceListResponse& page) {
    for (const auto& service : page.services()) {
      if (service.disabled().empty())
        table_.add({service.name(), kind_name(service), user_name(service), std::to_string(service.calls()),
                    std::to_string(service.concurrent()), std::to_string(service.concurrent_per_vm()), service.place(),
                    service.target()});
      else
        table_.add({service.name().empty() ? "-" : service.name(), kind_name(service), "-", "-", "-", "-", "-",
                    service.disabled()});
    }
    return table_.flush();
  }

 private:
  Table table_{{"NAME", "KIND", "USER", ">CALLS", ">AT ONCE", ">PER VM", "PLACE", "TARGET"}};
};

std::string names_of(const v1::ServiceListResponse& list) {
  std::string names;
  for (const auto& service : list.services())
    if (service.disabled().empty()) names += shown(service.name()) + "\n";
  return names;
}

std::string time_text(std::uint64_t nano) { return nano == 0 ? "none" : format_duration(nanoseconds(nano)); }

// As a shell takes them, nearly: words with blanks or quotes in double quotes.
std::string words_text(const google::protobuf::RepeatedPtrField<std::string>& words) {
  std::vector<std::string> shown;
  for (const auto& word : words)
    shown.push_back(word.empty() || word.find_first_of(" \t\n\"'") != std::string::npos ? in_quotes(word, kWholeText)
                                                                                        : printable(word));
  return join(shown, " ");
}

std::string arguments_text(const v1::ServiceProgram& program) {
  if (program.arguments().empty()) return {};
  return words_text(program.arguments()) + (program.rest() ? " (the last one for any number)" : "") +
         (program.dashes() ? ", may begin with -" : "");
}

void add_settings(Table& table, const std::string& title,
                  const google::protobuf::RepeatedPtrField<v1::ServiceSetting>& settings) {
  for (const auto& setting : settings) table.field(title, setting.name() + "=" + printable(setting.value()));
}

std::string starts_text(double rate, double burst) {
  return fixed(rate, 1) + "/s of each VM, " + fixed(burst, 1) + " at once";
}

void add_program(Table& table, const v1::ServiceProgram& program) {
  table.field("command", words_text(program.command()));
  table.field("arguments", arguments_text(program));
  table.field("directory", program.directory().empty() ? "/" : program.directory());
  table.field("timeout", time_text(program.timeout_nano()));
  table.field("starts", starts_text(program.start_rate(), program.start_burst()));
  add_settings(table, "environment", program.environment());
  add_settings(table, "property", program.properties());
}

void add_socket(Table& table, const v1::ServiceSocket& socket) {
  table.field("address", socket.address());
  table.field("preface", socket.preface());
  table.field("idle timeout", time_text(socket.idle_timeout_nano()));
  table.field("bytes at most", socket.max_bytes() == 0 ? "any number" : format_bytes(socket.max_bytes()));
  table.field("starts",
              socket.start_rate() == 0 ? "any number" : starts_text(socket.start_rate(), socket.start_burst()));
}

void add_server(Table& table, const v1::ServiceServer& server) {
  table.field("address", server.address());
  table.field("protocol", server.protocol());
  table.field("metadata", join({server.metadata().begin(), server.metadata().end()}, ", "));
  if (server.methods().empty()) table.field("streams", server.streaming() ? "yes" : "no");
  table.field("methods", server.methods().empty() ? "all (it has no descriptors)"
                                                  : join({server.methods().begin(), server.methods().end()}, ", "));
}

std::string to_text(const v1::ServiceShowResponse& shown) {
  const auto& service = shown.service();
  Table table;
  table.field("service", service.name());
  table.field("kind", kind_name(service));
  if (!service.disabled().empty()) {
    table.field("reason", service.disabled());
    return table.to_string();
  }
  table.field("place", service.place());
  table.field("user", user_name(service));
  if (shown.has_program()) add_program(table, shown.program());
  if (shown.has_socket()) add_socket(table, shown.socket());
  if (shown.has_server()) add_server(table, shown.server());
  table.field("calls now", std::to_string(service.calls()));
  table.field("at once",
              std::to_string(service.concurrent()) + ", of each VM " + std::to_string(service.concurrent_per_vm()));
  table.field("digest", shown.digest());
  return table.to_string();
}

class ServiceList : public Verb {
 public:
  ExitCode run(Invocation& invocation) override {
    ServiceTable table;
    show_pages<v1::Admin::ServiceList>(invocation, {}, "services", [&](const v1::ServiceListResponse& page) {
      return invocation.quiet() ? names_of(page) : table.text_of(page);
    });
    return ExitCode::kDone;
  }
};

class ServiceShow : public Verb {
 public:
  void declare(Arguments& arguments) override { arguments.positional("NAME", name_, "Name of the service."); }
  ExitCode run(Invocation& invocation) override {
    v1::ServiceShowRequest request;
    request.set_name(name_);
    const auto shown = invocation.read<v1::Admin::ServiceShow>(request);
    invocation.show(shown, to_text(shown));
    return ExitCode::kDone;
  }

 private:
  std::string name_;
};

class ServiceCheck : public Verb {
 public:
  ExitCode run(Invocation& invocation) override {
    const auto checked = invocation.read<v1::Admin::ServiceCheck>();
    for (const auto& error : checked.errors()) complain(invocation.program(), escape_message(error));
    show_warnings(invocation, checked.warnings());
    const bool is_valid = checked.errors().empty();
    if (is_valid || invocation.json())
      invocation.confirm(checked, count(checked.services(), "service") + ": no error" + warnings_text(checked) + "\n");
    return is_valid ? ExitCode::kDone : ExitCode::kNegative;
  }

 private:
  static std::string warnings_text(const v1::ServiceCheckResponse& checked) {
    if (checked.warnings().empty()) return {};
    return ", " + count(static_cast<std::uint64_t>(checked.warnings_size()), "warning");
  }
};

}  // namespace

const VerbEntry kServiceList{"service list", "list the services of services.d, and their use", kListHelp, kListExamples,
                             []() -> std::unique_ptr<Verb> { return std::make_unique<ServiceList>(); }};
const VerbEntry kServiceShow{"service show", "show one service and its use", kShowHelp, kShowExamples,
                             []() -> std::unique_ptr<Verb> { return std::make_unique<ServiceShow>(); }};
const VerbEntry kServiceCheck{"service check", "check services.d and the programs it names", kCheckHelp, kCheckExamples,
                              []() -> std::unique_ptr<Verb> { return std::make_unique<ServiceCheck>(); }};

}  // namespace hostcall::cli::host
