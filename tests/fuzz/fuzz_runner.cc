// Fuzzes hostcall-runner by a hostcalld that sends whatever it likes: it starts and connects to nothing that services.d
// does not list, with nothing that the entry does not allow; its limits hold; and when the connection ends, all that
// was started is ended.
//
// Input: choices, see Hostcalld::step().
#include <fcntl.h>

#include <array>
#include <memory>
#include <optional>
#include <set>
#include <vector>

#include "daemon/config/vm_record.h"
#include "daemon/runner/running.h"
#include "daemon/runner/service_cache.h"
#include "daemon/runner/session.h"
#include "tests/fuzz/fuzz.h"
#include "tests/support/temp_dir.h"

namespace hostcall::fuzz {
namespace {

using namespace daemon;

constexpr char kServices[] = R"({"services": [
  {"name": "plain", "run": ["/bin/plain"], "concurrent": 3, "concurrent_per_vm": 2},
  {"name": "words", "run": ["/bin/words", "--vm={vm}", "{uuid}"], "arguments": ["[a-z]+", "[0-9]*", "rest"]},
  {"name": "dashes", "run": ["/bin/dashes"], "arguments": [".*"], "dashes": true, "user": "alice",
   "environment": {"A": "{vm}", "PATH": "/opt"}},
  {"name": "agent", "socket": "unix:/run/agent.sock", "user": "alice"},
  {"name": "own", "socket": "unix:/run/own.sock"},
  {"name": "web", "socket": "tcp:127.0.0.1:80"},
  {"name": "broken", "run": []}]})";

constexpr std::string_view kNames[] = {"plain",  "words", "dashes",  "agent",    "own",  "web",
                                       "broken", "",      "/bin/sh", "../plain", "Plain"};
constexpr std::string_view kVms[] = {"web1", "web2", "a-b.c_d", "", "Web", "../x", "a\n", "{vm}"};
constexpr std::string_view kUuids[] = {"", "01234567-89ab-cdef-0123-456789abcdef",
                                       "01234567-89AB-CDEF-0123-456789ABCDEF", "x"};
constexpr std::string_view kArguments[] = {"a",     "7",   "-o", "",     "{vm}",
                                           "$HOME", "a b", "\n", "\xff", std::string_view("\0", 1)};

// Starts nothing, and knows what could have been started.
class ListHost final : public ProgramHost {
 public:
  class Program final : public HostedProgram {
   public:
    Program(ListHost& host, HostObserver& observer) : host_(host), observer_(observer) { host_.programs_.insert(this); }
    ~Program() override { host_.programs_.erase(this); }
    void send_signal(int signal) override {
      require(signal > 0 && signal < 32, "a signal is one of the ordinary ones");
    }
    void kill() override { is_killed_ = true; }
    HostObserver& observer() { return observer_; }
    bool is_killed() const { return is_killed_; }

   private:
    ListHost& host_;
    HostObserver& observer_;
    bool is_killed_ = false;
  };
  class Attempt final : public ConnectionAttempt {
   public:
    bool stop() override { return true; }
  };

  explicit ListHost(const Services& services) : services_(services) {}

  wire::Status check(const ProgramOrder& order) override {
    require_listed(*order.service, order.vm);
    const auto& program = order.program();
    const auto words = program.command.size();
    const PlaceholderValues values{.vm = order.vm, .uuid = order.uuid, .service = order.service->name};
    require(order.uuid.empty() || is_uuid(order.uuid), "a UUID is one");
    require(order.command.size() >= words, "the command is whole");
    for (std::size_t i = 0; i < words; ++i)
      require(order.command[i] == filled_in(program.command[i], values), "the command is the entry's");
    require(order.command.front() == program.command.front(), "the program is the entry's");
    const std::vector<std::string> arguments(order.command.begin() + static_cast<std::ptrdiff_t>(words),
                                             order.command.end());
    require(check_arguments(program, arguments).ok(), "the arguments are allowed");
    for (const auto& variable : order.environment) require_variable(variable, program);
    return {};
  }
  wire::Status check(const ConnectOrder& order) override {
    require_listed(*order.service, order.vm);
    require(!order.socket().tcp_host.empty() || !order.service->user.empty(), "hostcalld's own sockets are its own");
    return {};
  }
  std::unique_ptr<HostedProgram> start(ProgramOrder order, std::array<UniqueFd, 3> descriptors,
                                       HostObserver& observer) override {
    require(check(order).ok(), "what is checked can be done");
    for (const auto& fd : descriptors) require(static_cast<bool>(fd), "a program has three descriptors");
    return std::make_unique<Program>(*this, observer);
  }
  std::unique_ptr<ConnectionAttempt> connect(const ConnectOrder& order, AttemptObserver&) override {
    require(check(order).ok(), "what is checked can be done");
    return std::make_unique<Attempt>();
  }
  const std::set<Program*>& programs() const { return programs_; }

 private:
  void require_listed(const ServiceRecord& service, const std::string& vm) const {
    const auto listed = services_.find(service.name);
    require(listed != nullptr && listed->digest == service.digest, "the service is listed");
    require(is_name(vm), "a VM has a VM's name");
  }
  static void require_variable(const std::string& variable, const ProgramService& program) {
    const auto name = variable.substr(0, variable.find('='));
    require(program.environment.contains(name) || name == "PATH" || name.starts_with("HOSTCALL_"),
            "the environment is the entry's");
  }
  const Services& services_;
  std::set<Program*> programs_;
};

class Hostcalld {
 public:
  explicit Hostcalld(Choices& choices) : choices_(choices) {
    auto pair = packet_socket_pair();
    socket_ = std::move(pair->first);
    session_.emplace(reactor_, std::move(pair->second), services(), host_, running_,
                     [this](const std::string&) { is_over_ = true; });
  }
  // Sends a packet, or lets a program run or end.
  void step() {
    switch (choices_.byte() % 8) {
      case 0: return send({std::string(choices_.text()), {}});
      case 1: return move_a_program();
      case 2: return send_about(choices_.byte());
      case 3: return send_connect();
      default: return send_start();
    }
  }
  void end() {
    socket_.reset();
    turn();
    for (auto* program : std::set(host_.programs())) {
      require(program->is_killed(), "a closed connection ends its programs");
      program->observer().on_gone({});
    }
    turn();
    require(is_over_, "the session ends with its programs");
    require(running_.count() == 0, "no place is left taken");
  }

 private:
  static ServiceCache& services() {
    static const test::TempDir directory;
    static ServiceCache cache = [] {
      directory.write("services.json", kServices);
      return ServiceCache({directory.path()});
    }();
    return cache;
  }
  std::string text_or(std::string_view one) { return std::string(choices_.byte() == 255 ? choices_.text() : one); }
  void fill(runner::Target& target) {
    target.set_service(utf8_text(text_or(choices_.of(kNames))));
    const auto found = known_.find(target.service());
    if (found != nullptr && choices_.byte() < 250) target.set_digest(found->digest);
    target.set_vm(utf8_text(text_or(choices_.of(kVms))));
    target.set_uuid(utf8_text(text_or(choices_.of(kUuids))));
  }
  // What a string field may hold; others are raw packets.
  static std::string utf8_text(std::string text) {
    std::erase_if(text, [](char c) { return static_cast<unsigned char>(c) >= 0x80; });
    return text;
  }
  void send_start() {
    runner::Request request;
    request.set_id(next_id());
    fill(*request.mutable_start()->mutable_target());
    for (int i = choices_.byte() % 5; i > 0; --i)
      request.mutable_start()->add_arguments(text_or(choices_.of(kArguments)));
    const auto choice = choices_.byte();
    send({request.SerializeAsString(), descriptors(choice < 240 ? 3 : choice % 4)});
  }
  void send_connect() {
    runner::Request request;
    request.set_id(next_id());
    fill(*request.mutable_connect()->mutable_target());
    send({request.SerializeAsString(), {}});
  }
  void send_about(std::uint8_t choice) {
    runner::Request request;
    request.set_id(choices_.byte() % (last_id_ + 2));
    if (choice % 2 == 0)
      request.mutable_cancel();
    else
      request.mutable_signal()->set_number(static_cast<int>(choices_.number()));
    send({request.SerializeAsString(), {}});
  }
  std::uint64_t next_id() { return choices_.byte() < 250 ? ++last_id_ : choices_.number(); }
  static std::vector<UniqueFd> descriptors(int count) {
    std::vector<UniqueFd> descriptors;
    for (; count > 0; --count) descriptors.push_back(UniqueFd::adopt(::open("/dev/null", O_RDWR | O_CLOEXEC)));
    return descriptors;
  }
  void move_a_program() {
    const auto choice = choices_.byte();
    if (host_.programs().empty()) return;
    auto& observer =
        (*std::next(host_.programs().begin(), choice % static_cast<int>(host_.programs().size())))->observer();
    if (choice < 100) observer.on_running("unit");
    if (choice >= 100 && choice < 200) observer.on_gone({});
    if (choice >= 200) observer.on_lost({wire::Code::kUnavailable, "lost"});
    turn();
  }
  void send(const Packet& packet) {
    (void)send_packet(socket_.get(), packet);
    turn();
    require(running_.count() == host_.programs().size(), "each program has a place");
    require(host_.programs().size() <= kMaxRunning, "there is a limit");
    while (true) {
      auto received = receive_packet(socket_.get(), buffer_);
      if (!received.ok() || !received.value() || (*received)->is_end) return;
      runner::Reply reply;
      require(
          reply.ParseFromString(std::string((*received)->bytes)) && reply.what_case() != runner::Reply::WHAT_NOT_SET,
          "what is answered is a reply");
    }
  }
  void turn() { reactor_.run_ready(); }

  Choices& choices_;
  const Services known_ = services().current();
  Reactor reactor_;
  ListHost host_{known_};
  Running running_;
  UniqueFd socket_;
  std::optional<RunnerSession> session_;
  std::uint64_t last_id_ = 0;
  bool is_over_ = false;
  std::vector<char> buffer_ = std::vector<char>(2 * kMaxPacketBytes);
};

}  // namespace
}  // namespace hostcall::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  using namespace hostcall::fuzz;
  return play<Hostcalld>(bytes, size, &Hostcalld::end);
}
