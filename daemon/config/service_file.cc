#include "daemon/config/service_file.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <utility>

#include "daemon/config/metadata_key.h"
#include "daemon/config/rule.h"
#include "daemon/config/sha256.h"
#include "daemon/config/unit_properties.h"
#include "daemon/config/vm_record.h"
#include "proto/base/escape.h"
#include "proto/net/address.h"

namespace hostcall::daemon {
namespace {

constexpr char kRest[] = "rest";
constexpr std::size_t kMaxUserName = 64;
constexpr std::size_t kMaxCommandBytes = 64 * 1024;
constexpr std::uint32_t kMaxConcurrent = 100'000;
constexpr std::uint32_t kDefaultConcurrent = 64;
constexpr std::uint32_t kDefaultConcurrentPerVm = 8;
constexpr double kMaxRate = 1000;

// --- texts ---

// Values end up in the environment and arguments of a program, which end at a NUL.
void require_no_nul(const JsonValue& value, std::string_view text) {
  if (text.find('\0') != std::string_view::npos) value.fail("it has a NUL, which no program can be given");
}

std::string read_template(const JsonValue& value) {
  auto text = value.string();
  require_no_nul(value, text);
  value.require(check_placeholders(text));
  return text;
}

struct TimeUnit {
  std::string_view name;
  std::uint64_t milliseconds;
};
constexpr TimeUnit kTimeUnits[] = {{"ms", 1}, {"s", 1000}, {"m", 60'000}, {"h", 3'600'000}, {"d", 86'400'000}};
constexpr std::uint64_t kMaxMilliseconds = 365 * std::uint64_t{86'400'000};

std::optional<Duration> duration_of(std::string_view text) {
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc()) return std::nullopt;
  const auto* const unit =
      std::ranges::find(kTimeUnits, text.substr(static_cast<std::size_t>(end - text.data())), &TimeUnit::name);
  if (unit == std::end(kTimeUnits) || number == 0 || number > kMaxMilliseconds / unit->milliseconds)
    return std::nullopt;
  return milliseconds(number * unit->milliseconds);
}

Duration read_duration(const JsonValue& value) {
  const auto text = value.string();
  if (const auto duration = duration_of(text)) return *duration;
  value.fail(in_quotes(text) +
             " is no time; write a whole number with ms, s, m, h or d, such as \"90s\", at most 365d");
}

std::string read_user(const JsonValue& value) {
  auto user = value.string();
  const auto fits = [](char c) { return c > ' ' && c < '\x7f' && c != ':' && c != '/'; };
  if (user.empty() || user.size() > kMaxUserName || user.starts_with('-') || !std::ranges::all_of(user, fits))
    value.fail(in_quotes(user) + " is not a user's name");
  return user;
}

// --- programs ---

std::vector<std::string> read_command(const JsonValue& list) {
  std::vector<std::string> command;
  std::size_t bytes = 0;
  for (const auto& word : list.elements()) {
    command.push_back(read_template(word));
    bytes += command.back().size();
  }
  if (command.empty()) list.fail("the list is empty; expected an absolute path and arguments");
  if (!command.front().starts_with('/') || command.front().find_first_of("{}") != std::string::npos)
    list.fail("the program must be an absolute path without placeholders, but this is " + in_quotes(command.front()));
  if (bytes > kMaxCommandBytes) list.fail("a command has at most " + std::to_string(kMaxCommandBytes) + " bytes");
  return command;
}

void read_arguments(const JsonValue& list, ProgramService& program) {
  const auto elements = list.elements();
  for (const auto& element : elements) {
    const auto expression = element.string();
    if (expression == kRest && elements.size() > 1) {
      if (&element != &elements.back())
        element.fail(
            "\"rest\" allows any number of arguments, so it must be the last; for the word itself, write \"(rest)\"");
      program.rest = true;
      return;
    }
    auto pattern = Pattern::compile(expression);
    if (!pattern.ok()) element.fail(in_quotes(expression) + ": " + pattern.error().message());
    program.arguments.push_back(std::move(pattern).value());
    if (program.arguments.size() > kMaxArguments)
      element.fail("a service takes at most " + std::to_string(kMaxArguments) + " arguments");
  }
}

void read_environment(const JsonValue& object, ProgramService& program) {
  for (const auto& [name, value] : object.members()) {
    if (!is_identifier(name)) value.fail("this is not a variable's name: letters, digits and _");
    if (name.starts_with("HOSTCALL_")) value.fail("hostcall sets the variables HOSTCALL_… itself");
    program.environment[name] = read_template(value);
    if (program.environment[name].find('\n') != std::string::npos) value.fail("it has a line break");
  }
}

void read_properties(const JsonValue& object, ProgramService& program) {
  for (const auto& [name, value] : object.members()) {
    program.properties[name] = value.scalar_text();
    require_no_nul(value, program.properties[name]);
    if (const auto read = read_unit_property(name, program.properties[name]); !read.ok())
      value.fail(read.error().message());
  }
}

double read_rate(const JsonValue& value, double min) {
  const double rate = value.number();
  if (rate >= min && rate > 0 && rate <= kMaxRate) return rate;
  value.fail(min > 0 ? "expected a number from 1 to 1000" : "expected a number above 0, at most 1000");
}

template <class Kind>
void read_starts(const JsonValue& entry, Kind& kind) {
  if (entry.has("start_rate")) kind.start_rate = read_rate(entry.at("start_rate"), 0);
  kind.start_burst = std::max(1.0, kind.start_rate * 2);
  if (entry.has("start_burst")) kind.start_burst = read_rate(entry.at("start_burst"), 1);
}

ProgramService read_program(const JsonValue& entry) {
  entry.allow_keys({"name", "run", "user", "arguments", "dashes", "environment", "directory", "timeout", "concurrent",
                    "concurrent_per_vm", "start_rate", "start_burst", "properties"});
  ProgramService program;
  program.command = read_command(entry.at("run"));
  if (entry.has("arguments")) read_arguments(entry.at("arguments"), program);
  if (entry.has("dashes")) program.dashes = entry.at("dashes").boolean();
  if (entry.has("environment")) read_environment(entry.at("environment"), program);
  if (entry.has("directory")) program.directory = entry.at("directory").absolute_path();
  if (entry.has("timeout")) program.timeout = read_duration(entry.at("timeout"));
  read_starts(entry, program);
  if (entry.has("properties")) read_properties(entry.at("properties"), program);
  return program;
}

// --- sockets ---

constexpr std::string_view kUnixScheme = "unix:";
constexpr char kTcpScheme[] = "tcp:";
constexpr char kSocketForms[] = "; write unix:/path, unix:@name, tcp:127.0.0.1:PORT or tcp:[::1]:PORT";

bool take_prefix(std::string_view& text, std::string_view prefix) {
  if (!text.starts_with(prefix)) return false;
  text.remove_prefix(prefix.size());
  return true;
}

std::string read_unix_path(const JsonValue& value, std::string_view path) {
  const auto address = net::Address::at_path(path);
  if (!address.ok()) value.fail(address.error().message());
  return std::string(path);
}

// Only this host itself: what is beyond it has identities and firewalls of its own.
void read_tcp(const JsonValue& value, std::string_view text, SocketService& socket) {
  if (take_prefix(text, "127.0.0.1:"))
    socket.tcp_host = "127.0.0.1";
  else if (take_prefix(text, "[::1]:"))
    socket.tcp_host = "::1";
  else
    value.fail("only addresses of this host's loopback are possible" + std::string(kSocketForms));
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), socket.tcp_port);
  if (error != std::errc() || end != text.data() + text.size() || socket.tcp_port == 0)
    value.fail(in_quotes(text) + " is not a port" + kSocketForms);
}

void read_address(const JsonValue& value, SocketService& socket) {
  const auto text = value.string();
  std::string_view rest = text;
  if (take_prefix(rest, kTcpScheme)) return read_tcp(value, rest, socket);
  if (!take_prefix(rest, kUnixScheme)) value.fail(in_quotes(text) + " is not a socket" + kSocketForms);
  socket.unix_path = read_unix_path(value, rest);
}

Preface read_preface(const JsonValue& value) {
  const auto name = value.string();
  if (name == "none") return Preface::kNone;
  if (name == "qrexec") return Preface::kQrexec;
  if (name == "proxy-v2") return Preface::kProxyV2;
  value.fail(in_quotes(name) + " is not a preface; known are none, qrexec and proxy-v2");
}

SocketService read_socket(const JsonValue& entry) {
  entry.allow_keys({"name", "socket", "user", "preface", "concurrent", "concurrent_per_vm", "idle_timeout", "max_bytes",
                    "start_rate", "start_burst"});
  SocketService socket;
  read_address(entry.at("socket"), socket);
  if (!socket.tcp_host.empty() && entry.has("user")) entry.at("user").fail("a TCP service sees no user; leave it out");
  if (entry.has("preface")) socket.preface = read_preface(entry.at("preface"));
  if (entry.has("idle_timeout")) socket.idle_timeout = read_duration(entry.at("idle_timeout"));
  // Each connection of another user takes a process.
  if (entry.has("user")) socket.start_rate = ProgramService().start_rate;
  read_starts(entry, socket);
  if (entry.has("max_bytes")) socket.max_bytes = entry.at("max_bytes").integer(1, std::uint64_t{1} << 60);
  return socket;
}

// --- servers ---

constexpr std::size_t kMaxServiceName = 128;
constexpr std::size_t kMaxMetadataKeys = 32;
constexpr std::size_t kMaxMetadataKey = 64;

std::string read_full_name(const JsonValue& value) {
  auto name = value.string();
  if (name.size() > kMaxServiceName || !is_full_name(name))
    value.fail(in_quotes(name) + " is not the full name of a service in a .proto, such as acme.v1.Inventory");
  if (name == "hostcall" || name.starts_with("hostcall.")) value.fail("hostcall.… are hostcall's own services");
  return name;
}

// Only what a key of metadata can be, in lower case, as it is sent on.
void check_metadata_key(const JsonValue& value, std::string_view key) {
  const bool is_prefix = key.ends_with('*');
  const auto text = key.substr(0, key.size() - (is_prefix ? 1 : 0));
  if (key.empty() || key.size() > kMaxMetadataKey || !is_metadata_text(text))
    value.fail(in_quotes(key) + " is not a key of metadata in lower case, such as \"traceparent\" or \"acme-*\"");
  if (is_own_metadata(text)) value.fail("hostcall sets the metadata hostcall-… itself");
}

std::vector<std::string> read_metadata(const JsonValue& list) {
  std::vector<std::string> keys;
  for (const auto& element : list.elements()) {
    keys.push_back(element.string());
    check_metadata_key(element, keys.back());
    if (keys.size() > kMaxMetadataKeys)
      element.fail("a service takes at most " + std::to_string(kMaxMetadataKeys) + " keys");
  }
  return keys;
}

Protocol read_protocol(const JsonValue& value) {
  const auto name = value.string();
  if (name == "ttrpc") return Protocol::kTtrpc;
  if (name == "hostcall") return Protocol::kHostcall;
  value.fail(in_quotes(name) + " is not a protocol; known are ttrpc and hostcall");
}

// Only a Unix socket: whoever connects to a TCP port of this host could claim to be any VM.
std::string read_server_address(const JsonValue& value) {
  const auto text = value.string();
  std::string_view path = text;
  if (!take_prefix(path, kUnixScheme))
    value.fail(in_quotes(text) + " is not a Unix socket; write unix:/path or unix:@name");
  return read_unix_path(value, path);
}

ServiceDescriptors read_described(const JsonValue& value, std::string_view service) {
  auto described = read_descriptors(value.absolute_path(), service);
  if (!described.ok()) value.fail(described.error().message());
  return std::move(described).value();
}

RoutedService read_routed(const JsonValue& entry) {
  entry.allow_keys(
      {"service", "ttrpc", "protocol", "streaming", "metadata", "descriptors", "concurrent", "concurrent_per_vm"});
  RoutedService routed;
  routed.unix_path = read_server_address(entry.at("ttrpc"));
  if (entry.has("protocol")) routed.protocol = read_protocol(entry.at("protocol"));
  if (entry.has("streaming")) routed.streaming = entry.at("streaming").boolean();
  if (entry.has("metadata")) routed.metadata = read_metadata(entry.at("metadata"));
  if (entry.has("descriptors"))
    routed.described = read_described(entry.at("descriptors"), read_full_name(entry.at("service")));
  return routed;
}

// --- what all have in common ---

// Of every kind: what one who misspells the key that tells the kind may have meant.
void require_known_keys(const JsonValue& entry) {
  entry.allow_keys(
      {"name",       "service",     "run",       "socket",   "ttrpc",       "user",       "arguments",
       "dashes",     "environment", "directory", "timeout",  "properties",  "preface",    "idle_timeout",
       "max_bytes",  "protocol",    "streaming", "metadata", "descriptors", "concurrent", "concurrent_per_vm",
       "start_rate", "start_burst"});
}

std::string read_name(const JsonValue& entry) {
  if (entry.has("service")) return read_full_name(entry.at("service"));
  if (!entry.has("name")) {
    require_known_keys(entry);
    entry.fail(R"(it has no name: a program or a socket has "name", a server has "service")");
  }
  const auto value = entry.at("name");
  auto name = value.string();
  if (!is_name(name)) value.fail(in_quotes(name) + " is not a service's name: [a-z0-9][a-z0-9_.-]{0,63}");
  return name;
}

std::uint32_t read_concurrent(const JsonValue& entry, std::string_view key, std::uint32_t otherwise) {
  return entry.has(key) ? static_cast<std::uint32_t>(entry.at(key).integer(1, kMaxConcurrent)) : otherwise;
}

}  // namespace

ServiceRecord read_service(const JsonValue& entry) {
  constexpr const char* kKinds[] = {"run", "socket", "ttrpc"};
  const auto kinds = std::ranges::count_if(kKinds, [&](const char* kind) { return entry.has(kind); });
  if (kinds == 0) require_known_keys(entry);
  if (kinds != 1)
    entry.fail(kinds > 1 ? "a service has one of \"run\", \"socket\" and \"ttrpc\", not several"
                         : "expected \"run\", \"socket\" or \"ttrpc\"");
  ServiceRecord service;
  service.name = read_name(entry);
  if (entry.has("run"))
    service.kind = read_program(entry);
  else if (entry.has("socket"))
    service.kind = read_socket(entry);
  else
    service.kind = read_routed(entry);
  if (entry.has("user")) service.user = read_user(entry.at("user"));
  service.concurrent = read_concurrent(entry, "concurrent", kDefaultConcurrent);
  service.concurrent_per_vm =
      read_concurrent(entry, "concurrent_per_vm", std::min(kDefaultConcurrentPerVm, service.concurrent));
  if (service.concurrent_per_vm > service.concurrent)
    entry.at("concurrent_per_vm").fail("it is above concurrent (" + std::to_string(service.concurrent) + ")");
  service.digest = sha256(entry.canonical_text());
  service.file = entry.file();
  service.line = entry.line();
  return service;
}

Services Services::read(const std::vector<std::string>& directories) {
  Services services;
  std::map<std::string, std::string> places;  // of the names of earlier directories
  for (const auto& directory : directories) {
    std::map<std::string, std::string> here;
    try {
      for (const auto& path : json_files(directory)) services.read_file(path, here, places);
    } catch (const ConfigError& error) {
      services.disabled_.push_back({{}, error.what()});
    }
    places.merge(here);
  }
  return services;
}

void Services::read_file(const std::string& path, Places& here, const Places& before) {
  try {
    const auto root = JsonValue::read(path);
    if (!root.has("services")) return read_entry(root, here, before);
    root.allow_keys({"services"});
    for (const auto& entry : root.at("services").elements()) read_entry(entry, here, before);
  } catch (const ConfigError& error) {
    disabled_.push_back({{}, error.what()});
  }
}

void Services::read_entry(const JsonValue& entry, Places& here, const Places& before) {
  std::string name;
  try {
    name = read_name(entry);
    if (before.contains(name)) return;
    const auto [first, is_new] = here.emplace(name, entry.file() + ":" + std::to_string(entry.line()));
    if (!is_new) {
      name.clear();  // the first one stays
      entry.fail("the service " + in_quotes(first->first) + " is already at " + first->second +
                 ", which counts; this entry is ignored");
    }
    by_name_.emplace(name, std::make_shared<const ServiceRecord>(read_service(entry)));
  } catch (const ConfigError& error) {
    disabled_.push_back({name, error.what()});
  }
}

std::shared_ptr<const ServiceRecord> Services::find(std::string_view name) const {
  const auto at = by_name_.find(name);
  return at == by_name_.end() ? nullptr : at->second;
}

const Services::Disabled* Services::disabled(std::string_view name) const {
  const auto at = std::ranges::find(disabled_, name, &Disabled::name);
  return at == disabled_.end() || name.empty() ? nullptr : &*at;
}

std::vector<std::string> Services::warnings() const {
  std::vector<std::string> warnings;
  for (const auto& disabled : disabled_) warnings.push_back(disabled.warning());
  return warnings;
}

std::vector<std::shared_ptr<const ServiceRecord>> Services::all() const {
  std::vector<std::shared_ptr<const ServiceRecord>> all;
  for (const auto& [name, service] : by_name_) all.push_back(service);
  return all;
}

}  // namespace hostcall::daemon
