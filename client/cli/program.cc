// run_program: from argv to an exit code. With arguments.cc and rest.cc the only code that knows CLI11.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdlib>
#include <exception>
#include <map>
#include <new>

#include "client/cli/interrupt.h"
#include "client/cli/output.h"
#include "client/cli/rest.h"
#include "client/cli/text.h"
#include "client/cli/verb.h"
#include "proto/base/escape.h"
#include "proto/base/standard_fds.h"
#include "proto/net/address.h"
#include "proto/protobuf_log.h"

namespace hostcall::cli {
namespace {

// What follows it is no option.
constexpr std::string_view kSeparator = "--";

// A verb or group of verbs with its place on the command line.
struct Node {
  std::string name;                  // "vm list"
  const VerbEntry* entry = nullptr;  // null: a group
  std::unique_ptr<Verb> verb;        // null: a group
  std::unique_ptr<Arguments> arguments;
};

class CommandLine {
 public:
  explicit CommandLine(const Program& program);
  // The chosen verb; null: help or version was asked for, and printed. Throws Failure.
  Verb* parse(int argc, char** argv);
  // With the endpoint made an address.
  Common common() const;

 private:
  CLI::App* add_app(CLI::App& parent, const std::string& name);
  CLI::App& group(const std::string& name);
  void add_verb(const VerbEntry& entry);
  void add_common();
  void check_endpoint() const;
  CLI::App* chosen();
  bool is_verb(CLI::App* app) const { return app != &root_ && nodes_.at(app).verb != nullptr; }
  // The verb itself; null: help or version was printed.
  Verb* parse_words(const std::vector<std::string>& words);
  Failure failure_of(const CLI::ParseError& error, const std::vector<std::string>& words);
  // The words that were not expected.
  std::vector<std::string> extras() const;
  Failure unexpected(const std::vector<std::string>& words);
  std::string program_help() const;
  std::string node_help(const Node& node) const;
  std::string verb_list(const std::string& group) const;
  // "hostcallctl vm list"
  std::string name_of(CLI::App* app) const { return program_.name + (app == &root_ ? "" : " " + nodes_.at(app).name); }

  const Program& program_;
  CLI::App root_;
  Arguments common_arguments_{root_};
  Common common_;
  std::map<CLI::App*, Node> nodes_;
};

CommandLine::CommandLine(const Program& program) : program_(program) {
  root_.fallthrough();  // inherited: common options stand before or after the verb
  root_.require_subcommand(0, 1);
  root_.set_help_flag("-h,--help");
  root_.set_version_flag("--version", HOSTCALL_VERSION);
  add_common();
  for (const auto& entry : program.verbs) add_verb(entry);
}

void CommandLine::add_common() {
  const auto& endpoint = program_.endpoint;
  const char* configured = std::getenv(endpoint.variable);
  common_.address = configured != nullptr && *configured != '\0' ? configured : endpoint.fallback;
  auto& arguments = common_arguments_;
  arguments.option(endpoint.option, endpoint.placeholder, common_.address, endpoint.help);
  arguments.not_empty();
  arguments.option("--timeout", common_.timeout,
                   "Give up after this time in all, written 5, 5s, 500ms, 2m or 1h; default 30s. Over a limit of "
                   "the host, wait until then as the host says.");
  arguments.flag(
      "--wait", common_.wait,
      "Until then, keep trying to reach a host that can't be reached yet. Without it, attempts that fail go on for "
      "5s at most, and a host that takes the connection has 20s to answer.");
  if (program_.takes_privileged_port)
    arguments.flag("--privileged-port", common_.privileged_port,
                   "Call from a source port below 1024: evidence of root in this VM, where the host's policy requires "
                   "it. On vsock only.");
  arguments.flag("--json", common_.json, "Print one line of JSON, with protobuf's JSON names.");
  arguments.flag("-q,--quiet", common_.quiet, "Print less; the help of each verb says what is left.");
  arguments.mention("-h, --help", "Print this, or the help of a verb.");
  arguments.mention("    --version", "Print the version.");
}

CLI::App* CommandLine::add_app(CLI::App& parent, const std::string& name) {
  auto* app = parent.add_subcommand(name);
  app->require_subcommand(0, 1);
  return app;
}

CLI::App& CommandLine::group(const std::string& name) {
  for (auto& [app, node] : nodes_)
    if (node.name == name) return *app;
  auto* app = add_app(root_, name);
  nodes_[app].name = name;
  return *app;
}

void CommandLine::add_verb(const VerbEntry& entry) {
  const std::string name = entry.name;
  const auto blank = name.find(' ');
  auto& parent = blank == std::string::npos ? root_ : group(name.substr(0, blank));
  auto* app = add_app(parent, name.substr(blank == std::string::npos ? 0 : blank + 1));
  auto& node = nodes_[app];
  node = {name, &entry, entry.make(), std::make_unique<Arguments>(*app)};
  node.verb->declare(*node.arguments);
}

CLI::App* CommandLine::chosen() {
  CLI::App* app = &root_;
  while (!app->get_subcommands().empty()) app = app->get_subcommands().front();
  return app;
}

Verb* CommandLine::parse(int argc, char** argv) {
  auto words = marked_words(argc, argv);
  if (!words.empty()) words.erase(words.begin());
  const auto rest = find_rest(root_, words, [this](CLI::App& verb) { return nodes_.at(&verb).arguments->has_rest(); });
  words.resize(rest);
  try {
    auto* verb = parse_words(words);
    if (verb == nullptr) return nullptr;
    auto& arguments = *nodes_.at(chosen()).arguments;
    if (arguments.has_rest()) arguments.take_rest({argv + 1 + rest, argv + argc});
    return verb;
  } catch (const Failure& failure) {
    if (failure.code != ExitCode::kUsage) throw;
    throw usage(failure.text + "; see " + name_of(chosen()) + " --help");
  }
}

Verb* CommandLine::parse_words(const std::vector<std::string>& words) {
  try {
    root_.parse(std::vector(words.rbegin(), words.rend()));  // as CLI11 takes them
  } catch (const CLI::CallForHelp&) {
    auto* app = chosen();
    // The help of everything is none of a verb that does not exist.
    if (!is_verb(app) && !extras().empty()) throw unexpected(words);
    print(app == &root_ ? program_help() : node_help(nodes_.at(app)));
    return nullptr;
  } catch (const CLI::CallForVersion&) {
    print_line(std::string(program_.name) + " " + HOSTCALL_VERSION);
    return nullptr;
  } catch (const CLI::ParseError& error) {
    throw failure_of(error, words);
  }
  auto* app = chosen();
  Verb* verb = app == &root_ ? nullptr : nodes_.at(app).verb.get();
  if (verb == nullptr) throw usage("a verb is missing");
  common_arguments_.take();
  check_endpoint();
  nodes_.at(app).arguments->take();
  return verb;
}

// Who gives a path need not know of addresses.
void CommandLine::check_endpoint() const {
  const auto& endpoint = program_.endpoint;
  if (std::string_view(endpoint.prefix).empty()) return;
  if (const auto path = net::Address::at_path(common_.address); !path.ok())
    throw usage(std::string(endpoint.option) + " or $" + endpoint.variable + ": " + path.error().message());
}

// CLI11 does not know that only the last word can lack a value.
Failure CommandLine::failure_of(const CLI::ParseError& error, const std::vector<std::string>& words) {
  if (dynamic_cast<const CLI::ArgumentMismatch*>(&error) != nullptr)
    return usage(escape_message(words.back()) + " needs a value");
  if (dynamic_cast<const CLI::ExtrasError*>(&error) != nullptr) return unexpected(words);
  return usage(escape_message(unmarked(error.what())));
}

std::vector<std::string> CommandLine::extras() const {
  auto words = root_.remaining(true);
  std::erase(words, kSeparator);
  return words;
}

// CLI11 does not know what the words that it did not expect were meant as. Tells of the first.
Failure CommandLine::unexpected(const std::vector<std::string>& words) {
  const auto all = extras();
  if (all.empty()) return usage("a verb is missing");
  const auto& first = all.front();
  const auto place = std::ranges::find(words, first);  // the end: a letter of several behind one "-"
  const auto shown = first.empty() ? in_quotes(first) : escape_message(unmarked(first));
  const bool may_be_option = place == words.end() || place < std::ranges::find(words, kSeparator);
  if (may_be_option && first.size() > 1 && first.starts_with('-')) return usage("no such option: " + shown);
  const bool is_argument = is_verb(chosen()) && place > std::ranges::find(words, chosen()->get_name());
  return usage((is_argument ? "unexpected argument: " : "no such verb: ") + shown);
}

Common CommandLine::common() const {
  auto common = common_;
  common.address.insert(0, program_.endpoint.prefix);
  return common;
}

std::string CommandLine::verb_list(const std::string& group) const {
  Table table;
  for (const auto& entry : program_.verbs)
    if (std::string(entry.name).starts_with(group)) table.add({std::string("  ") + entry.name, entry.summary});
  return table.to_string();
}

std::string CommandLine::program_help() const {
  return std::string("Usage: ") + program_.name + " [OPTION]... VERB [ARGUMENT]...\n\n" +
         wrap_paragraphs(program_.help, kTerminalWidth) + "\nVerbs:\n" + verb_list("") +
         "\nOptions, before or after the verb:\n" + common_arguments_.describe() + "\nExit codes:\n" + kExitCodeHelp +
         "\nExamples:\n" + program_.examples;
}

std::string CommandLine::node_help(const Node& node) const {
  const auto usage = std::string("Usage: ") + program_.name + " " + node.name;
  const auto more = std::string("\nOptions of all verbs and exit codes: see ") + program_.name + " --help.\n";
  if (!node.verb) return usage + " VERB\n\nVerbs:\n" + verb_list(node.name + " ") + more;
  const auto own = node.arguments->describe();
  return usage + " [OPTION]..." + node.arguments->usage() + "\n\n" + wrap_paragraphs(node.entry->help, kTerminalWidth) +
         (own.empty() ? "" : "\n") + own + "\nExamples:\n" + node.entry->examples + more;
}

ExitCode run_verb(const Program& program, int argc, char** argv) {
  CommandLine command_line(program);
  auto* verb = command_line.parse(argc, argv);
  if (verb == nullptr) return ExitCode::kDone;
  Invocation invocation(program.name, command_line.common());
  try {
    return verb->run(invocation);
  } catch (const Failure& failure) {
    if (program.refine == nullptr) throw;
    throw program.refine(failure, invocation.common());
  }
}

// Of the running program, for whoever can't be passed it.
const char* name_of_program = "";

// Names the exception that is being handled. Needs no memory, of which there may be none.
void complain_of_exception() {
  try {
    throw;
  } catch (const std::bad_alloc&) {
    complain(name_of_program, "there is not enough memory");
  } catch (const std::exception& error) {
    complain(name_of_program, error.what());
  } catch (...) {
    complain(name_of_program, "an exception of an unknown type; this is a fault of the program");
  }
}

// An exception that nobody can catch: it left a callback of the library, or a destructor.
[[noreturn]] void end_at_once() {
  if (std::current_exception()) complain_of_exception();
  ::_exit(static_cast<int>(ExitCode::kUnreachable));
}

}  // namespace

int run_program(const char* name, const std::function<Program()>& make, int argc, char** argv) {
  name_of_program = name;
  std::set_terminate(end_at_once);
  open_standard_fds();
  quiet_protobuf();
  reset_signals();
  try {
    return static_cast<int>(run_verb(make(), argc, argv));
  } catch (const Failure& failure) {
    complain(name, escape_message(failure.text));
    return static_cast<int>(failure.code);
  } catch (const SignalEnd& end) {
    die_of(end.number);
  } catch (...) {
    complain_of_exception();
    return static_cast<int>(ExitCode::kUnreachable);
  }
}

}  // namespace hostcall::cli
