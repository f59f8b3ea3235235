// hostcallctl service and run: the services of a real hostcalld, and the programs and connections that VMs use.
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include "hostcall/v1/relay.pb.h"
#include "proto/net/socket.h"
#include "tests/integration/cli.h"
#include "tests/support/is_gone.h"
#include "tests/support/wire_client.h"

namespace hostcall::test {
namespace {

class HostServices : public Cli {
 protected:
  void use(const std::string& entries) {
    daemon_.directory().write("services.d/50-test.json", "{\"services\": [\n" + entries + "]}");
    const auto reload = host({"policy", "reload"});
    ASSERT_EQ(reload.code, 0) << reload.errors;
  }
  // A program that says its pid and then sleeps, in a child of its own.
  static std::string sleeper(const std::string& name) {
    return "{\"name\": \"" + name + R"(", "run": ["/bin/sh", "-c", "sleep 1000 & echo $!; wait"], "user": "root"})";
  }
  static std::string socket_at(const std::string& path) {
    return R"({"name": "agent", "socket": "unix:)" + path + "\"}";
  }
  std::string backend_path() const { return daemon_.directory() / "backend.sock"; }
  json runs(const Words& more = {}) {
    Words words{"run", "list", "--json"};
    words.insert(words.end(), more.begin(), more.end());
    return answer(host(words))["runs"];
  }
};

// ---------------------------------------------------------------- services

TEST_F(HostServices, AreListedAndShown) {
  EXPECT_EQ(answer(host({"service", "list", "--json"})), (json{{"services", json::array()}}));
  use(R"({"name": "backup", "run": ["/usr/lib/backup/receive", "--from", "{vm}"], "user": "backup",
          "arguments": ["[a-z]+"], "environment": {"LANG": "C.UTF-8"}, "timeout": "1h", "concurrent": 8,
          "concurrent_per_vm": 1, "properties": {"MemoryMax": "512M"}},
         {"name": "registry", "socket": "tcp:127.0.0.1:5000", "preface": "proxy-v2"},
         {"name": "broken", "run": ["receive"]})");
  const auto place = daemon_.services_file();
  const auto list = answer(host({"service", "list", "--json"}))["services"];
  ASSERT_EQ(list.size(), 3U);
  EXPECT_EQ(list[0]["name"], "backup");
  EXPECT_EQ(list[0]["kind"], "SERVICE_KIND_PROGRAM");
  EXPECT_EQ(list[0]["concurrentPerVm"], 1);
  EXPECT_EQ(list[1]["target"], "tcp:127.0.0.1:5000");
  EXPECT_EQ(list[2]["name"], "broken");
  EXPECT_TRUE(contains(list[2]["disabled"], place + ":6: ")) << list;
  EXPECT_EQ(host({"service", "list", "-q"}).output, "backup\nregistry\n");
  const auto table = lines_of(host({"service", "list"}).output);
  ASSERT_EQ(table.size(), 4U);
  EXPECT_TRUE(table[0].starts_with("NAME      KIND      USER")) << table[0];
  for (const auto* part : {"program", "backup", " 8 ", "/usr/lib/backup/receive --from {vm}"})
    EXPECT_TRUE(contains(table[1], part)) << table[1];
  EXPECT_TRUE(contains(table[1], place + ":2")) << table[1];
  EXPECT_TRUE(contains(table[2], "(hostcalld's)")) << table[2];
  EXPECT_TRUE(contains(table[3], "disabled")) << table[3];
  EXPECT_TRUE(contains(table[3], place + ":6: ")) << table[3];

  const auto shown = host({"service", "show", "backup"}).output;
  for (const auto* part :
       {"--from {vm}", "[a-z]+", "LANG=C.UTF-8", "MemoryMax=512M", "timeout      1h", "of each VM 1"})
    EXPECT_TRUE(contains(shown, part)) << part << "\n" << shown;
  const auto socket = answer(host({"service", "show", "registry", "--json"}));
  EXPECT_EQ(socket["socket"]["preface"], "proxy-v2");
  EXPECT_FALSE(socket.contains("program"));
  const auto disabled = host({"service", "show", "broken"});
  EXPECT_EQ(disabled.code, 0);
  EXPECT_TRUE(contains(disabled.output, place + ":6: ")) << disabled.output;
  expect_failure(host({"service", "show", "bakcup"}), 1, "no service is named \"bakcup\"; did you mean \"backup\"?");
  expect_failure(host({"service", "show"}), 2, "NAME");
}

TEST_F(HostServices, LongListsAreWhole) {
  std::string entries;
  for (int i = 0; i < 600; ++i)
    entries += (i == 0 ? "{\"name\": \"s" : ",\n{\"name\": \"s") + std::to_string(i) +
               (i % 2 == 0 ? R"(", "run": ["/bin/true"]})" : R"(", "run": ["true"]})");
  use(entries);
  EXPECT_EQ(lines_of(host({"service", "list", "-q"}).output).size(), 300U);
  EXPECT_EQ(answer(host({"service", "list", "--json"}))["services"].size(), 600U);
}

TEST_F(HostServices, FilesAreCheckedWithoutUse) {
  EXPECT_EQ(host({"service", "check"}).output, "0 services: no error\n");
  const auto program = daemon_.directory().write("job", "#!/bin/sh\n");
  daemon_.directory().write("services.d/50-test.json",
                            R"({"name": "job", "user": "root", "run": [")" + program + "\"]}");
  auto checked = host({"service", "check"});
  EXPECT_EQ(checked.code, 0);
  EXPECT_EQ(checked.output, "1 service: no error, 1 warning\n");
  EXPECT_EQ(checked.errors, "hostcallctl: warning: " + daemon_.services_file() + ":1: the service job: the program \"" +
                                program + "\" is not executable\n");
  ::chmod(program.c_str(), 0775);
  EXPECT_TRUE(contains(host({"service", "check", "-q"}).errors, "could change what the service runs; chmod go-w "));
  ::chmod(program.c_str(), 0755);
  checked = host({"service", "check", "-q"});
  EXPECT_EQ(checked.errors + checked.output, "");
  EXPECT_EQ(answer(host({"service", "list", "--json"}))["services"].size(), 0U) << "nothing is in force";

  daemon_.directory().write("services.d/50-test.json", R"({"services": [{"name": "job", "user": "root", "run": [")" +
                                                           program +
                                                           "\"]},\n{\"name\": \"a\", \"run\": [\"job\"]},\n{}]}");
  checked = host({"service", "check"});
  EXPECT_EQ(checked.code, 1);
  EXPECT_EQ(checked.output, "");
  const auto errors = lines_of(checked.errors);
  ASSERT_EQ(errors.size(), 2U) << checked.errors;
  EXPECT_TRUE(errors[0].starts_with("hostcallctl: " + daemon_.services_file() + ":2: ")) << errors[0];
  EXPECT_TRUE(errors[0].ends_with("; the service a is disabled")) << errors[0];
  EXPECT_TRUE(errors[1].starts_with("hostcallctl: " + daemon_.services_file() + ":3: ")) << errors[1];
  const auto as_json = host({"service", "check", "--json"});
  EXPECT_EQ(as_json.code, 1);
  EXPECT_EQ(json::parse(as_json.output)["errors"].size(), 2U);
}

TEST_F(HostServices, TheDoctorCountsThemAndFindsWhatIsMissing) {
  use(sleeper("backup") + ",\n" + socket_at(backend_path()) + R"(,
         {"name": "broken", "run": ["receive"]})");
  const auto report = json::parse(host({"doctor", "--json"}).output);
  std::map<std::string, json> findings;
  for (const auto& finding : report["findings"]) findings[finding["check"]] = finding;
  EXPECT_EQ(findings["services"]["text"], "2 services in force, 1 disabled");
  EXPECT_EQ(findings["service.agent"]["state"], "warn");
  EXPECT_TRUE(contains(findings["service.agent"]["text"], backend_path())) << findings["service.agent"];
  EXPECT_EQ(findings["service.broken"]["state"], "fail");
  EXPECT_TRUE(contains(findings["sockets.stale"]["text"], daemon_.directory().path())) << "not /run/hostcall";
}

TEST_F(HostServices, PolicyWarnsOfRulesThatNameNone) {
  use(sleeper("backup"));
  daemon_.directory().write("policy.d/50-test.json",
                            R"({"rules": [{"vms": ["web1"], "calls": ["hostcall.v1.Run/Start"],
    "resources": ["bakcup"], "action": "allow"}]})");
  const std::string text =
      "services.d has no service \"bakcup\", so this entry matches nothing; did you mean \"backup\"?";
  EXPECT_TRUE(contains(host({"policy", "check"}).errors, text));
  EXPECT_TRUE(contains(host({"policy", "reload"}).errors, text));
  EXPECT_TRUE(contains(host({"config", "check"}).errors, text));
  const auto check = test::run({program("hostcalld"), "--config", daemon_.config_file(), "--check"});
  EXPECT_EQ(check.code, 0);
  EXPECT_TRUE(contains(check.errors, text)) << check.errors;
  daemon_.stop();
  daemon_.restart();
  EXPECT_TRUE(daemon_.process().wait_for_error_text(text));
}

// ---------------------------------------------------------------- runs

TEST_F(HostServices, AProgramIsListedAndKilledWithAllThatItHasStarted) {
  use(sleeper("job"));
  EXPECT_EQ(host({"run", "list", "-q"}).output, "");
  Process first(guest_words({"run", "job"})), second(guest_words({"run", "job"}));
  wait_until([&] { return contains(first.output(), "\n"); }, first);
  wait_until([&] { return contains(second.output(), "\n"); }, second);
  const pid_t sleeps = std::stoi(first.output()), sleeps_too = std::stoi(second.output());
  const auto list = runs();
  ASSERT_EQ(list.size(), 2U);
  EXPECT_EQ(list[0]["vm"], "web1");
  EXPECT_EQ(list[0]["service"], "job");
  EXPECT_EQ(list[0]["kind"], "SERVICE_KIND_PROGRAM");
  const std::string place = list[0]["place"], number = list[0]["number"], other = list[1]["number"];
  EXPECT_TRUE(place.starts_with("pid ") || place.starts_with("hostcall-run-job-web1-")) << place;
  EXPECT_NE(list[0]["bytesOut"], "0");
  EXPECT_EQ(lines_of(host({"run", "list", "-q"}).output), (Words{number, other}));
  EXPECT_TRUE(contains(host({"run", "list"}).output, place));
  EXPECT_EQ(runs({"--vm", "web1", "--service", "job"}).size(), 2U);
  EXPECT_EQ(runs({"--vm", "db1"}).size(), 0U);
  expect_failure(host({"run", "list", "--vm", "nobody"}), 1, "nobody");
  expect_failure(host({"run", "list", "--service", "jop"}), 1, "did you mean \"job\"?");
  EXPECT_EQ(answer(host({"service", "show", "job", "--json"}))["service"]["calls"], 2);

  // The first one has not told which of the two numbers is its own.
  for (const auto& which : {number, other})
    EXPECT_EQ(host({"run", "kill", which}).output, "run " + which + " of job for web1 ended\n");
  EXPECT_EQ(first.wait(), 125);
  EXPECT_EQ(second.wait(), 125);
  EXPECT_TRUE(contains(first.errors(), "ended by an administrator")) << first.errors();
  for (const pid_t child : {sleeps, sleeps_too}) EXPECT_TRUE(eventually([&] { return is_gone(child); })) << child;
  EXPECT_EQ(runs().size(), 0U);
  expect_failure(host({"run", "kill", number}), 1, "no call that uses a service has the number " + number);
  expect_failure(host({"run", "kill", "x"}), 2, "NUMBER");
}

TEST_F(HostServices, AConnectionIsListedAndClosed) {
  const auto backend = net::listen(net::unix_address(backend_path()));
  ASSERT_TRUE(backend.ok());
  use(socket_at(backend_path()));
  WireClient caller(daemon_.vm_address("db1"));
  v1::OpenRequest request;
  request.set_service("agent");
  request.set_data("hello");
  const auto stream = caller.start("hostcall.v1.Relay/Open", request.SerializeAsString(), wire::Shape::kBidiStream);
  ASSERT_TRUE(caller.receive(stream)) << "it is open";
  const auto list = runs({"--service", "agent"});
  ASSERT_EQ(list.size(), 1U);
  EXPECT_EQ(list[0]["kind"], "SERVICE_KIND_SOCKET");
  EXPECT_EQ(list[0]["vm"], "db1");
  EXPECT_EQ(list[0]["place"], "unix:" + backend_path());
  EXPECT_EQ(list[0]["bytesIn"], "5");
  const std::string number = list[0]["number"];
  EXPECT_EQ(answer(host({"run", "kill", number, "--json"}))["run"]["number"], number);
  const auto ended = caller.finish(stream);
  EXPECT_EQ(ended.status.code, wire::Code::kCancelled);
  EXPECT_EQ(ended.status.message, "ended by an administrator");
  EXPECT_EQ(host({"run", "list", "-q"}).output, "");
}

}  // namespace
}  // namespace hostcall::test
