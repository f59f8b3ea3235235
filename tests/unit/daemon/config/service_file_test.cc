// services.d: what an entry may say, what is refused with its line, and that an error disables only its own service.
#include "daemon/config/service_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "tests/support/descriptors.h"
#include "tests/support/temp_dir.h"

namespace hostcall::daemon {
namespace {

using hostcall::test::TempDir;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

ServiceRecord read(const std::string& entry) { return read_service(JsonValue::parse("s.json", entry)); }

std::string error_of(const std::string& entry) {
  try {
    read(entry);
    return "";
  } catch (const ConfigError& error) {
    return error.what();
  }
}
std::string program_error(const std::string& members) {
  return error_of("{\"name\": \"x\", \"run\": [\"/bin/x\"]," + members + "}");
}
std::string socket_error(const std::string& socket, const std::string& members = "") {
  return error_of("{\"name\": \"x\", \"socket\": \"" + socket + "\"" + members + "}");
}

// ---------------------------------------------------------------- programs

TEST(ServiceFile, ReadsAProgram) {
  const auto service =
      read(R"({"name": "backup", "run": ["/usr/lib/backup/receive", "--from", "{vm}"], "user": "backup",
      "arguments": ["[a-z0-9][a-z0-9_-]{0,31}", "rest"], "environment": {"LANG": "C.UTF-8", "WHO": "{vm}/{uuid}"},
      "directory": "/srv", "timeout": "1h", "concurrent": 8, "concurrent_per_vm": 1, "start_rate": 5, "start_burst": 7,
      "properties": {"MemoryMax": "512M", "CPUQuota": "50%", "TasksMax": 32, "PrivateTmp": true}})");
  EXPECT_EQ(service.name, "backup");
  EXPECT_EQ(service.user, "backup");
  EXPECT_EQ(service.concurrent, 8u);
  EXPECT_EQ(service.concurrent_per_vm, 1u);
  EXPECT_EQ(service.place(), "s.json:1");
  EXPECT_EQ(service.socket(), nullptr);
  const auto& program = *service.program();
  EXPECT_THAT(program.command, ElementsAre("/usr/lib/backup/receive", "--from", "{vm}"));
  EXPECT_EQ(program.arguments.size(), 1u);
  EXPECT_TRUE(program.rest);
  EXPECT_FALSE(program.dashes);
  EXPECT_EQ(program.environment.at("WHO"), "{vm}/{uuid}");
  EXPECT_EQ(program.directory, "/srv");
  EXPECT_EQ(program.timeout, std::chrono::hours(1));
  EXPECT_EQ(program.start_rate, 5);
  EXPECT_EQ(program.start_burst, 7);
  EXPECT_EQ(program.properties.at("MemoryMax"), "512M");
  EXPECT_EQ(program.properties.at("TasksMax"), "32");
  EXPECT_EQ(program.properties.at("PrivateTmp"), "yes");
}

TEST(ServiceFile, HasDefaults) {
  const auto service = read(R"({"name": "x", "run": ["/bin/x"]})");
  EXPECT_EQ(service.user, "");
  EXPECT_EQ(service.concurrent, 64u);
  EXPECT_EQ(service.concurrent_per_vm, 8u);
  EXPECT_EQ(service.program()->timeout, Duration::zero());
  EXPECT_EQ(service.program()->start_rate, 10);
  EXPECT_EQ(service.program()->start_burst, 20);
  EXPECT_EQ(read(R"({"name": "x", "run": ["/bin/x"], "concurrent": 2})").concurrent_per_vm, 2u);
}

TEST(ServiceFile, RefusesProgramsThatCantBeMeant) {
  EXPECT_THAT(error_of(R"({"name": "x", "run": []})"), HasSubstr("the list is empty"));
  EXPECT_THAT(error_of(R"({"name": "x", "run": ["sh"]})"), HasSubstr("absolute path without placeholders"));
  EXPECT_THAT(error_of(R"({"name": "x", "run": ["/bin/{vm}"]})"), HasSubstr("absolute path without placeholders"));
  EXPECT_THAT(error_of(R"({"name": "x", "run": ["/bin/x", "{host}"]})"), HasSubstr("no placeholder {host}"));
  EXPECT_THAT(error_of(R"({"name": "x", "run": ["/bin/x", "a}b"]})"), HasSubstr("a brace alone"));
  EXPECT_THAT(error_of(R"({"name": "x", "run": ["/bin/x", "a\u0000b"]})"), HasSubstr("it has a NUL"));
  EXPECT_THAT(error_of(R"({"name": "x", "run": ["/bin/x"], "socket": "unix:/x"})"), HasSubstr("not several"));
  EXPECT_THAT(error_of(R"({"name": "x"})"), HasSubstr("expected \"run\", \"socket\" or \"ttrpc\""));
  EXPECT_THAT(error_of(R"({"name": "X", "run": ["/bin/x"]})"), HasSubstr("is not a service's name"));
  EXPECT_THAT(error_of(R"({"run": ["/bin/x"]})"),
              HasSubstr("a program or a socket has \"name\", a server has \"service\""));
  EXPECT_THAT(error_of("[]"), HasSubstr("expected an object"));
}

TEST(ServiceFile, SaysWhatAMisspeltKeyMayHaveMeant) {
  EXPECT_THAT(program_error(R"("argument": [])"), HasSubstr("unknown key \"argument\" (did you mean \"arguments\"?)"));
  EXPECT_THAT(error_of(R"({"nmae": "x", "run": ["/bin/x"]})"), HasSubstr("(did you mean \"name\"?)"));
  EXPECT_THAT(error_of(R"({"servce": "acme.v1.X", "ttrpc": "unix:/x"})"), HasSubstr("(did you mean \"service\"?)"));
  EXPECT_THAT(error_of(R"({"name": "x", "runs": ["/bin/x"]})"), HasSubstr("(did you mean \"run\"?)"));
}

TEST(ServiceFile, RefusesOptionsThatCantBeMeant) {
  EXPECT_THAT(program_error(R"("argument": [])"), HasSubstr("unknown key \"argument\""));
  EXPECT_THAT(program_error(R"("preface": "none")"), HasSubstr("unknown key"));
  EXPECT_THAT(program_error(R"("arguments": ["["])"), HasSubstr("not an extended regular expression"));
  EXPECT_EQ(program_error(R"("arguments": ["rest"])"), "") << "alone, it is a pattern";
  EXPECT_THAT(program_error(R"("arguments": ["a", "rest", "b"])"), HasSubstr("so it must be the last"));
  EXPECT_THAT(program_error(R"("arguments": ["rest", "rest"])"), HasSubstr("so it must be the last"));
  EXPECT_EQ(program_error(R"j("arguments": ["(rest)", "b"])j"), "");
  EXPECT_THAT(program_error(R"("arguments": ["\\d"])"), HasSubstr("write [0-9]"));
  EXPECT_THAT(program_error(R"("timeout": "1 hour")"), HasSubstr("is no time"));
  EXPECT_THAT(program_error(R"("timeout": "0s")"), HasSubstr("is no time"));
  EXPECT_THAT(program_error(R"("timeout": "366d")"), HasSubstr("is no time"));
  EXPECT_THAT(program_error(R"("timeout": "18446744073709551615d")"), HasSubstr("is no time"));
  EXPECT_THAT(program_error(R"("environment": {"A=B": "x"})"), HasSubstr("not a variable's name"));
  EXPECT_THAT(program_error(R"("environment": {"HOSTCALL_VM": "x"})"), HasSubstr("sets the variables HOSTCALL_"));
  EXPECT_THAT(program_error(R"("environment": {"A": "x\ny"})"), HasSubstr("it has a line break"));
  EXPECT_THAT(program_error(R"("user": "-x")"), HasSubstr("is not a user's name"));
  EXPECT_THAT(program_error(R"("user": "")"), HasSubstr("is not a user's name"));
  EXPECT_THAT(program_error(R"("directory": "srv")"), HasSubstr("expected an absolute path"));
  EXPECT_THAT(program_error(R"("concurrent": 0)"), HasSubstr("from 1 to 100000"));
  EXPECT_THAT(program_error(R"("concurrent": 2, "concurrent_per_vm": 3)"), HasSubstr("above concurrent (2)"));
  EXPECT_THAT(program_error(R"("start_rate": 0)"), HasSubstr("above 0"));
  EXPECT_THAT(program_error(R"("properties": {"MemoryMax": []})"), HasSubstr("MemoryMax: expected a string"));
  EXPECT_THAT(program_error(R"("properties": {"MemoryMax": "much"})"),
              HasSubstr("MemoryMax: property MemoryMax takes bytes"));
  EXPECT_THAT(program_error(R"("properties": {"ExecStart": "/bin/sh"})"), HasSubstr("can't be set here"));
}

// ---------------------------------------------------------------- arguments

ProgramService taking(const std::string& members) {
  return *read("{\"name\": \"x\", \"run\": [\"/bin/x\"], " + members + "}").program();
}
std::string refusal(const ProgramService& program, const std::vector<std::string>& arguments) {
  const auto checked = check_arguments(program, arguments);
  return checked.ok() ? "" : checked.error().message();
}

TEST(ServiceArguments, EachPositionHasItsPattern) {
  const auto two = taking(R"("arguments": ["[a-z]+", "[0-9]*"])");
  EXPECT_EQ(refusal(two, {"a", "1"}), "");
  EXPECT_EQ(refusal(two, {"a", ""}), "");
  EXPECT_EQ(refusal(two, {"a", "b"}), "argument 2, \"b\", does not match \"[0-9]*\"");
  EXPECT_EQ(refusal(two, {"a"}), "it takes 2 arguments, but 1 was given");
  EXPECT_EQ(refusal(two, {"a", "1", "2"}), "it takes 2 arguments, but 3 were given");
  EXPECT_EQ(refusal(taking(R"("user": "u")"), {"a"}), "it takes 0 arguments, but 1 was given");
}

TEST(ServiceArguments, RestTakesAnyNumber) {
  const auto rest = taking(R"("arguments": ["[a-z]+", "[0-9]+", "rest"])");
  EXPECT_EQ(refusal(rest, {"a"}), "") << "the last pattern may have no argument";
  EXPECT_EQ(refusal(rest, {"a", "1", "2", "3"}), "");
  EXPECT_EQ(refusal(rest, {"a", "1", "x"}), "argument 3, \"x\", does not match \"[0-9]+\"");
  EXPECT_EQ(refusal(rest, {}), "it takes at least 1 argument, but 0 were given");
  EXPECT_EQ(refusal(rest, std::vector<std::string>(65, "1")), "it takes at least 1 argument, but 65 were given");
}

TEST(ServiceArguments, ADashNeedsPermission) {
  EXPECT_THAT(refusal(taking(R"("arguments": [".*"])"), {"-o"}), HasSubstr("begins with \"-\""));
  EXPECT_EQ(refusal(taking(R"("arguments": [".*"], "dashes": true)"), {"-o"}), "");
}

TEST(ServiceArguments, PlaceholdersStandForTheCaller) {
  const PlaceholderValues values{.vm = "web1", .uuid = "u-1", .service = "backup"};
  EXPECT_EQ(filled_in("--from={vm}/{uuid}/{service}", values), "--from=web1/u-1/backup");
  EXPECT_EQ(filled_in("{{vm}} }}{{", values), "{vm} }{");
  EXPECT_EQ(filled_in("", values), "");
  for (const auto* broken : {"{", "}", "{vm", "vm}", "{}", "{ vm}", "a{{b}c"})
    EXPECT_FALSE(check_placeholders(broken).ok()) << broken;
  for (const auto* fine : {"", "{vm}", "{{", "}}", "{{vm}}", "x{uuid}y"})
    EXPECT_TRUE(check_placeholders(fine).ok()) << fine;
}

// ---------------------------------------------------------------- sockets

TEST(ServiceFile, ReadsSockets) {
  const auto agent = read(R"({"name": "ssh-agent", "socket": "unix:/run/user/1000/agent.sock", "user": "alice",
                              "preface": "none", "idle_timeout": "90s", "max_bytes": 1000})");
  EXPECT_EQ(agent.user, "alice");
  EXPECT_EQ(agent.program(), nullptr);
  EXPECT_EQ(agent.socket()->address(), "unix:/run/user/1000/agent.sock");
  EXPECT_EQ(agent.socket()->idle_timeout, seconds(90));
  EXPECT_EQ(agent.socket()->max_bytes, 1000u);
  const auto registry = read(R"({"name": "registry", "socket": "tcp:127.0.0.1:5000", "preface": "proxy-v2"})");
  EXPECT_EQ(registry.socket()->address(), "tcp:127.0.0.1:5000");
  EXPECT_EQ(registry.socket()->preface, Preface::kProxyV2);
  EXPECT_EQ(read(R"({"name": "x", "socket": "tcp:[::1]:65535"})").socket()->address(), "tcp:[::1]:65535");
  EXPECT_EQ(read(R"({"name": "x", "socket": "unix:@name"})").socket()->address(), "unix:@name");
}

TEST(ServiceFile, RefusesSocketsThatCantBeMeant) {
  EXPECT_THAT(socket_error("/run/x"), HasSubstr("is not a socket; write unix:/path"));
  EXPECT_THAT(socket_error("unix:x"), HasSubstr("s.json:1: socket: "));
  EXPECT_THAT(socket_error("tcp:10.0.0.1:80"), HasSubstr("only addresses of this host's loopback"));
  EXPECT_THAT(socket_error("tcp:127.0.0.1.example:80"), HasSubstr("only addresses"));
  EXPECT_THAT(socket_error("tcp:localhost:80"), HasSubstr("only addresses"));
  for (const auto* port : {"", "0", "65536", "-1", "80x", " 80"})
    EXPECT_THAT(socket_error("tcp:127.0.0.1:" + std::string(port)), HasSubstr("is not a port")) << port;
  EXPECT_THAT(socket_error("tcp:127.0.0.1:80", R"(, "user": "alice")"), HasSubstr("a TCP service sees no user"));
  EXPECT_THAT(socket_error("unix:/x", R"(, "preface": "proxy")"), HasSubstr("known are none, qrexec and proxy-v2"));
  EXPECT_THAT(socket_error("unix:/x", R"(, "arguments": [])"), HasSubstr("unknown key"));
  EXPECT_THAT(socket_error("unix:/x", R"(, "max_bytes": 0)"), HasSubstr("expected a whole number"));
}

// ---------------------------------------------------------------- servers

std::string server_error(const std::string& members) {
  return error_of(R"({"service": "acme.v1.Inventory", "ttrpc": "unix:/run/x")" + members + "}");
}

TEST(ServiceFile, ReadsServers) {
  const auto server = read(R"({"service": "acme.v1.Inventory", "ttrpc": "unix:/run/acme/inventory.sock",
                               "protocol": "hostcall", "streaming": true, "metadata": ["traceparent", "acme-*"],
                               "concurrent": 20, "concurrent_per_vm": 5})");
  EXPECT_EQ(server.name, "acme.v1.Inventory");
  EXPECT_EQ(server.program(), nullptr);
  EXPECT_EQ(server.socket(), nullptr);
  EXPECT_STREQ(server.kind_text(), "a server");
  EXPECT_EQ(server.routed()->address(), "unix:/run/acme/inventory.sock");
  EXPECT_EQ(server.routed()->protocol, Protocol::kHostcall);
  EXPECT_TRUE(server.routed()->streaming);
  EXPECT_THAT(server.routed()->metadata, ElementsAre("traceparent", "acme-*"));
  EXPECT_FALSE(server.routed()->described);
  EXPECT_EQ(server.concurrent, 20u);
  EXPECT_EQ(server.concurrent_per_vm, 5u);
  const auto plain = read(R"({"service": "Plain", "ttrpc": "unix:@plain"})");
  EXPECT_EQ(plain.routed()->address(), "unix:@plain");
  EXPECT_EQ(plain.routed()->protocol, Protocol::kTtrpc);
  EXPECT_FALSE(plain.routed()->streaming);
  EXPECT_THAT(plain.routed()->metadata, IsEmpty());
}

TEST(ServiceFile, ReadsTheDescriptorsOfAServer) {
  const TempDir directory;
  const auto path = directory.write(
      "x.desc", test::descriptor_set({test::file_descriptor("acme.v1", "Inventory", {{.name = "Get"}})}));
  const auto with = [&](const std::string& name) {
    return R"({"service": ")" + name + R"(", "ttrpc": "unix:/run/x", "descriptors": ")" + path + "\"}";
  };
  EXPECT_TRUE(read(with("acme.v1.Inventory")).routed()->described->methods.contains("Get"));
  EXPECT_THAT(error_of(with("acme.v1.Other")), HasSubstr("describes no service \"acme.v1.Other\""));
  EXPECT_THAT(server_error(R"(, "descriptors": "relative")"), HasSubstr("descriptors"));
  EXPECT_THAT(server_error(R"(, "descriptors": "/does/not/exist")"), HasSubstr("/does/not/exist"));
}

TEST(ServiceFile, RefusesServersThatCantBeMeant) {
  for (const auto* name : {"", "acme v1", "acme..v1", ".acme", "acme.", "1acme", "acme/v1", "acme-v1"})
    EXPECT_THAT(error_of(R"({"ttrpc": "unix:/x", "service": ")" + std::string(name) + "\"}"),
                HasSubstr("is not the full name of a service"))
        << name;
  EXPECT_THAT(error_of(R"({"ttrpc": "unix:/x", "service": ")" + std::string(129, 'a') + "\"}"), HasSubstr("full name"));
  for (const auto* name : {"hostcall", "hostcall.v1.Admin", "hostcall.v2.Anything"})
    EXPECT_THAT(error_of(R"({"ttrpc": "unix:/x", "service": ")" + std::string(name) + "\"}"),
                HasSubstr("hostcall's own services"));
  EXPECT_EQ(error_of(R"({"ttrpc": "unix:/x", "service": "hostcalls.v1.Fine"})"), "");
  EXPECT_THAT(error_of(R"({"ttrpc": "unix:/x", "name": "x"})"), HasSubstr("unknown key"));
  for (const auto* address : {"/run/x", "tcp:127.0.0.1:80", "vsock:2:1", "unix:relative", "unix:"})
    EXPECT_NE(error_of(R"({"service": "a.B", "ttrpc": ")" + std::string(address) + "\"}"), "") << address;
  EXPECT_THAT(server_error(R"(, "socket": "unix:/y")"), HasSubstr("not several"));
  EXPECT_THAT(server_error(R"(, "run": ["/bin/x"])"), HasSubstr("not several"));
  EXPECT_THAT(error_of(R"({"service": "a.B"})"), HasSubstr("expected \"run\", \"socket\" or \"ttrpc\""));
  EXPECT_THAT(server_error(R"(, "protocol": "grpc")"), HasSubstr("known are ttrpc and hostcall"));
  EXPECT_THAT(server_error(R"(, "user": "alice")"), HasSubstr("unknown key"));
  EXPECT_THAT(server_error(R"(, "start_rate": 5)"), HasSubstr("unknown key"));
  EXPECT_THAT(server_error(R"(, "streaming": "yes")"), HasSubstr("streaming"));
}

TEST(ServiceFile, RefusesMetadataThatCantBeMeant) {
  for (const auto* key : {"", "Traceparent", "a b", "a*b", "**", "\xc3\xa4"})
    EXPECT_THAT(server_error(R"(, "metadata": [")" + std::string(key) + "\"]"), HasSubstr("is not a key of metadata"))
        << key;
  EXPECT_THAT(server_error(R"(, "metadata": [")" + std::string(65, 'a') + "\"]"), HasSubstr("is not a key"));
  for (const auto* key : {"hostcall", "hostcall*", "hostcall-*", "hostcall-vm", "hostcall_vm", "hostcall.vm"})
    EXPECT_THAT(server_error(R"(, "metadata": [")" + std::string(key) + "\"]"), HasSubstr("hostcall sets the metadata"))
        << key;
  EXPECT_EQ(server_error(R"(, "metadata": ["*", "h*", "hostcallx"])"), "");
  std::string keys = "\"k\"";
  for (int i = 1; i < 32; ++i) keys += ", \"k\"";
  EXPECT_EQ(server_error(R"(, "metadata": [)" + keys + "]"), "");
  EXPECT_THAT(server_error(R"(, "metadata": [)" + keys + R"(, "k"])"), HasSubstr("at most 32 keys"));
}

// ---------------------------------------------------------------- digests

TEST(ServiceFile, ADigestChangesWithWhatTheEntrySays) {
  const auto digest = [](const std::string& entry) { return read(entry).digest; };
  const auto first = digest(R"({"name": "x", "run": ["/bin/x"], "timeout": "1h"})");
  EXPECT_EQ(first.size(), 64u);
  EXPECT_EQ(first, digest("{ \"timeout\":\"1h\", // an hour\n \"run\":[\"/bin/x\"],\"name\":\"x\"}")) << "same meaning";
  EXPECT_NE(first, digest(R"({"name": "x", "run": ["/bin/x"], "timeout": "2h"})"));
  EXPECT_NE(first, digest(R"({"name": "x", "run": ["/bin/x", ""], "timeout": "1h"})"));
  // printf '{"name":"x","run":["/bin/x"]}' | sha256sum
  EXPECT_EQ(digest(R"({"run": ["/bin/x"], "name": "x"})"),
            "f4d3b09141109fd0c1fc9fa0c0a4b11f676fc198037d8f0ef773456ca3b8f8bb");
}

// ---------------------------------------------------------------- directories

class ServiceDirectories : public testing::Test {
 protected:
  ServiceDirectories() {
    ::mkdir((directory_ / "etc").c_str(), 0755);
    ::mkdir((directory_ / "lib").c_str(), 0755);
  }
  Services read() const { return Services::read({directory_ / "etc", directory_ / "lib"}); }
  static std::string entry(const std::string& name, const std::string& program = "/bin/x") {
    return "{\"name\": \"" + name + "\", \"run\": [\"" + program + "\"]}";
  }
  static std::vector<std::string> reasons(const Services& services) {
    std::vector<std::string> all;
    for (const auto& disabled : services.disabled()) all.push_back(disabled.warning());
    return all;
  }
  TempDir directory_;
};

TEST_F(ServiceDirectories, MissingOrEmptyOnesHaveNoServices) {
  EXPECT_EQ(read().size(), 0u);
  EXPECT_THAT(Services::read({directory_ / "nowhere"}).disabled(), IsEmpty());
}

TEST_F(ServiceDirectories, AFileHasOneServiceOrMany) {
  directory_.write("etc/a.json", entry("one"));
  directory_.write("etc/b.json", "{\"services\": [" + entry("two") + ",\n" + entry("three") + "]}");
  const auto services = read();
  EXPECT_EQ(services.size(), 3u);
  EXPECT_EQ(services.find("three")->line, 2u);
  EXPECT_EQ(services.find("four"), nullptr);
}

TEST_F(ServiceDirectories, AnErrorDisablesItsOwnServiceOnly) {
  directory_.write("etc/a.json", "{\"services\": [" + entry("good") + ",\n" + entry("bad", "sh") +
                                     ",\n{\"name\": 7},\n" + entry("fine") + "]}");
  directory_.write("etc/b.json", "{");
  directory_.write("etc/c.json", entry("other"));
  const auto services = read();
  EXPECT_EQ(services.size(), 3u);
  EXPECT_EQ(services.find("bad"), nullptr);
  ASSERT_NE(services.disabled("bad"), nullptr);
  EXPECT_EQ(services.disabled("good"), nullptr);
  EXPECT_EQ(services.disabled(""), nullptr);
  EXPECT_THAT(reasons(services),
              ElementsAre(testing::AllOf(HasSubstr("a.json:2: "), HasSubstr("the service bad is disabled")),
                          HasSubstr("a.json:3: name: expected a string"), HasSubstr("b.json:1: not valid JSON")));
}

TEST_F(ServiceDirectories, AnEarlierDirectoryTakesPrecedence) {
  directory_.write("etc/a.json", entry("x", "/bin/etc"));
  directory_.write("etc/b.json", entry("broken", "sh"));
  directory_.write("lib/a.json",
                   "{\"services\": [" + entry("x", "/bin/lib") + "," + entry("broken") + "," + entry("y") + "]}");
  const auto services = read();
  EXPECT_EQ(services.find("x")->program()->command.front(), "/bin/etc");
  EXPECT_NE(services.find("y"), nullptr);
  EXPECT_EQ(services.find("broken"), nullptr) << "what the administrator wrote is not what runs";
}

TEST_F(ServiceDirectories, ANameTwiceInOneDirectoryIsAnError) {
  directory_.write("etc/a.json", entry("x", "/bin/first"));
  directory_.write("etc/b.json", entry("x", "/bin/second"));
  const auto services = read();
  EXPECT_EQ(services.find("x")->program()->command.front(), "/bin/first");
  EXPECT_THAT(reasons(services), ElementsAre(testing::AllOf(HasSubstr("b.json:1: the service \"x\" is already at "),
                                                            HasSubstr("a.json:1, which counts"))));
}

TEST_F(ServiceDirectories, AnEntryWithoutANameIsToldBothOfItsKeys) {
  directory_.write("etc/a.json", R"({"services": [{}, {"nmae": "x", "run": ["/bin/x"]}]})");
  EXPECT_THAT(reasons(read()), ElementsAre(HasSubstr("a program or a socket has \"name\", a server has \"service\""),
                                           HasSubstr("(did you mean \"name\"?)")));
}

TEST_F(ServiceDirectories, FilesThatOthersCouldChangeAreRefused) {
  directory_.write("etc/a.json", entry("x"));
  ::chmod((directory_ / "etc/a.json").c_str(), 0666);
  const auto services = read();
  EXPECT_EQ(services.size(), 0u);
  const auto file = directory_ / "etc/a.json";
  EXPECT_THAT(reasons(services), ElementsAre(testing::StartsWith(file + ": belongs to uid ")));
}

}  // namespace
}  // namespace hostcall::daemon
