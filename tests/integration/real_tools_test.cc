// What people do with Run and Relay, with the tools that they use: an SSH agent, a web server, socat. The host's side
// is a real hostcalld and real servers; the guest's is the command line.
#include "tests/integration/cli.h"

namespace hostcall::test {
namespace {

class RealTools : public testing::Test {
 protected:
  // $HOSTCALL is the command line's beginning, $DIR a directory for sockets and files.
  Finished shell(const std::string& script) const {
    return run({"/bin/bash", "-c", "set -eu; cd \"$DIR\"; " + script},
               {.environment = {{"HOSTCALL", program("hostcall") + " --address " + daemon_.vm_address("web1")},
                                {"DIR", daemon_.directory().path()}},
                .input = {}});
  }
  // Waits in the shell for a socket that another program makes.
  static std::string await(const std::string& socket) {
    return "for i in $(seq 600); do [ ! -S " + socket + " ] || break; sleep 0.05; done; ";
  }
  static std::string forward(const std::string& socket, const std::string& service) {
    return "$HOSTCALL forward unix:$DIR/" + socket + " " + service + " >&2 & " + await(socket);
  }
  static constexpr char kCleanUp[] = "trap 'kill $(jobs -p) 2>/dev/null; wait' EXIT; ";

  DaemonProcess daemon_{{.services_json = R"({"services": [
    {"name": "agent", "socket": "unix:@DIR@/agent.sock", "concurrent_per_vm": 20},
    {"name": "web", "socket": "unix:@DIR@/web.sock", "concurrent_per_vm": 20},
    {"name": "lines", "socket": "unix:@DIR@/lines.sock"},
    {"name": "tar", @USER@"run": ["/bin/tar", "-t"]}]})"}};
};

TEST_F(RealTools, AnSshAgentSignsForAGuest) {
  const auto done =
      shell(std::string(kCleanUp) +
            "ssh-keygen -q -t ed25519 -N '' -C of-the-host -f key;"
            "ssh-agent -D -a $DIR/agent.sock >&2 & " +
            await("agent.sock") + "SSH_AUTH_SOCK=$DIR/agent.sock ssh-add -q key; " + forward("guest.sock", "agent") +
            "export SSH_AUTH_SOCK=$DIR/guest.sock; rm key;"
            "ssh-add -l; echo text >file; ssh-keygen -q -Y sign -n test -f key.pub file;"
            "echo \"me $(cat key.pub)\" >signers;"
            "ssh-keygen -Y verify -f signers -I me -n test -s file.sig <file");
  EXPECT_EQ(done.code, 0) << done.errors;
  EXPECT_TRUE(contains(done.output, "of-the-host (ED25519)")) << done.output;
  EXPECT_TRUE(contains(done.output, "Good \"test\" signature for me")) << done.output;
}

TEST_F(RealTools, CurlReadsAWebServerOfTheHost) {
  daemon_.directory().write("web.py", R"py(
import http.server, socketserver
class Page(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    def do_GET(self):
        page = b'p' * 3000000
        self.send_response(200)
        self.send_header('Content-Length', str(len(page)))
        self.end_headers()
        self.wfile.write(page)
    def do_POST(self):
        size = len(self.rfile.read(int(self.headers['Content-Length'])))
        self.send_response(200)
        self.send_header('Content-Length', '8')
        self.end_headers()
        self.wfile.write(b'%08d' % size)
    def address_string(self): return 'a guest'
class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer): daemon_threads = True
Server('web.sock', Page).serve_forever()
)py");
  const auto done =
      shell(std::string(kCleanUp) + "python3 web.py >&2 & " + await("web.sock") + forward("guest.sock", "web") +
            "head -c 2000000 /dev/zero >large;"
            "curl -sS --unix-socket guest.sock http://host/ http://host/ | wc -c;"
            "curl -sS --unix-socket guest.sock --data-binary @large http://host/; echo;"
            "pids=; for i in 1 2 3 4 5 6; do "
            "(curl -sS --unix-socket guest.sock http://host/ | wc -c >part$i) & pids=\"$pids $!\"; done; "
            "wait $pids; cat part?");
  EXPECT_EQ(done.code, 0) << done.errors;
  std::string expected = "6000000\n02000000\n";
  for (int i = 0; i < 6; ++i) expected += "3000000\n";
  EXPECT_EQ(done.output, expected) << done.errors;
}

// wc(1) answers only when its input has ended, which no VMM tells the host.
TEST_F(RealTools, SocatsPeerSeesTheEndOfEachDirection) {
  const auto done = shell(std::string(kCleanUp) + "socat UNIX-LISTEN:lines.sock,fork EXEC:'wc -l' & " +
                          await("lines.sock") + forward("guest.sock", "lines") +
                          "seq 100000 | socat -t 60 - UNIX-CONNECT:guest.sock; seq 7 | $HOSTCALL connect lines");
  EXPECT_EQ(done.code, 0) << done.errors;
  EXPECT_EQ(done.output, "100000\n7\n");
}

TEST_F(RealTools, AnArchiveGoesThroughAProgramOfTheHost) {
  const auto done =
      shell("mkdir many; for i in $(seq 500); do echo $i >many/$i; done; tar -c many | $HOSTCALL run tar | wc -l");
  EXPECT_EQ(done.code, 0) << done.errors;
  EXPECT_EQ(done.output, "501\n");
}

}  // namespace
}  // namespace hostcall::test
