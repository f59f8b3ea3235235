// What the tests of run, connect and forward share: a daemon with services.d, whose programs run as the tests' own
// user, and a server process with sockets for the guest.
#pragma once

#include <pwd.h>
#include <unistd.h>

#include "tests/integration/cli.h"
#include "tests/support/sanitized.h"

namespace hostcall::test {

// A host's server. "echo" returns what comes and ends after its client, "count" answers a client's end with the number
// of its bytes, "flood" sends for ever, and "moody" reads no more
// after a "d", and otherwise is as echo behind the first byte. Prints a line for each connection that ends.
inline constexpr char kServer[] = R"py(
import os, socket, sys, threading, time
def echo(c):
    while piece := c.recv(65536): c.sendall(piece)
def count(c):
    total = 0
    while piece := c.recv(65536): total += len(piece)
    c.sendall(str(total).encode())
def moody(c):
    if c.recv(1) == b'd': threading.Event().wait()
    else: echo(c)
def flood(c):
    while True: c.sendall(b'f' * 65536)
def serve(name, c):
    try: globals()[name](c)
    except OSError: pass
    c.close()
    os.write(1, (name + ' ended\n').encode())
def listen(name):
    s = socket.socket(socket.AF_UNIX)
    s.bind(sys.argv[1] + '/' + name + '.service')
    s.listen(100)
    while True: threading.Thread(target=serve, args=(name, s.accept()[0]), daemon=True).start()
names = ('echo', 'count', 'moody', 'flood')
for name in names: threading.Thread(target=listen, args=(name,), daemon=True).start()
while not all(os.path.exists(sys.argv[1] + '/' + name + '.service') for name in names): time.sleep(0.01)
os.write(1, b'ready\n')
threading.Event().wait()
)py";

class ServicesCli : public testing::Test {
 protected:
  ServicesCli() {
    daemon_.directory().write("services.d/50-test.json", services());
    daemon_.restart();
  }

  Words guest_words(const Words& more, const std::string& vm = "web1") const {
    Words all{program("hostcall"), "--address", daemon_.vm_address(vm)};
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }
  Finished guest(const Words& more, const std::string& input = {}, const std::string& vm = "web1") const {
    return test::run(guest_words(more, vm), {.environment = {}, .input = input});
  }
  // $HOSTCALL is the command line's beginning, $DIR the daemon's directory.
  std::vector<std::string> shell_words(const std::string& script) const { return {"/bin/bash", "-c", script}; }
  ProcessOptions shell_options() const {
    return {.environment = {{"HOSTCALL", program("hostcall") + " --address " + daemon_.vm_address("web1")},
                            {"DIR", daemon_.directory().path()}},
            .input = {}};
  }
  Finished shell(const std::string& script) const { return test::run(shell_words(script), shell_options()); }

  static void expect_code(const Finished& run, int code, const std::string& text) {
    EXPECT_EQ(run.code, code) << run.errors;
    EXPECT_TRUE(run.errors.starts_with("hostcall: ") && contains(run.errors, text)) << run.errors;
    EXPECT_EQ(lines_of(run.errors).size(), 1U) << run.errors;
    EXPECT_EQ(run.output, "");
  }

  // Of one test that carries much.
  static constexpr std::size_t kMuch = kSanitized ? 64u << 20 : 1u << 30;

  DaemonProcess daemon_{{.vms = {"web1", "db1"},
                         .vms_json = {},
                         .config_json = {},
                         .policy_json = R"({"rules": [
    {"vms": ["web1"], "calls": ["hostcall.v1.Run/Start"], "resources": ["denied"], "action": "deny"},
    {"vms": ["web1"], "calls": ["*"], "action": "allow"},
    {"vms": ["*"], "calls": ["hostcall.v1.Session/*"], "action": "allow"}]})",
                         .timeouts_ms = {{"drain_ms", 100}},
                         .starts = false}};

 private:
  std::string services() const {
    const std::string user = ::getpwuid(::geteuid())->pw_name;
    auto list = json::array();
    for (const auto* name : {"echo", "count", "moody", "flood"})
      list.push_back({{"name", name},
                      {"socket", "unix:" + daemon_.directory().path() + "/" + name + ".service"},
                      {"concurrent_per_vm", 50}});
    list.push_back({{"name", "gone"}, {"socket", "unix:/nonexistent"}});
    for (const auto* name : {"shell", "denied"})
      list.push_back({{"name", name}, {"run", {"/bin/sh", "-c"}}, {"arguments", {".*"}}, {"user", user}});
    list.push_back(
        {{"name", "alone"}, {"run", {"/bin/sh", "-c"}}, {"arguments", {".*"}}, {"user", user}, {"concurrent", 1}});
    list.push_back({{"name", "brief"}, {"run", {"/bin/sleep", "1000"}}, {"user", user}, {"timeout", "200ms"}});
    list.push_back({{"name", "words"},
                    {"run", {"/usr/bin/printf", "[%s]"}},
                    {"arguments", {"[a-z -]*", "rest"}},
                    {"dashes", true},
                    {"user", user}});
    return json{{"services", list}}.dump();
  }
};

}  // namespace hostcall::test
