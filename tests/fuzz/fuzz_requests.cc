// Fuzzes the daemon behind its sockets: sessions, router, all services and a store on a disk, as main puts them
// together, with a clock that the input turns. Callers know frames and keep no rules: ids near the last one, 0 and
// 2^32, valid messages and damaged ones, in any order. Whatever they do, what they are answered is well-formed and its
// texts are bounded and plain; and at the end all charges are given back.
//
// Input: commands; see Script::step.
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <csignal>
#include <map>
#include <memory>

#include "hostcall/v1/admin.pb.h"
#include "hostcall/v1/session.pb.h"
#include "proto/base/bounded_text.h"
#include "proto/base/escape.h"
#include "tests/fuzz/messages.h"
#include "tests/fuzz/raw_peer.h"
#include "tests/support/services.h"

namespace hostcall::fuzz {
namespace {

namespace pb = google::protobuf;
using daemon::test::Rig;
using wire::FrameType;

constexpr const char* kPolicies[] = {
    R"({"rules": [{"vms": ["*"], "calls": ["*"], "action": "allow"}]})",
    R"({"rules": [{"vms": ["web1"], "calls": ["*"], "resources": ["/self/**"], "action": "allow", "rate": 1}]})",
    R"({"rules": [{"vms": ["*"], "calls": ["hostcall.v1.Store/Put"], "action": "deny"},
                  {"vms": ["db1"], "calls": ["*"], "action": "allow"}]})",
    R"({"rules": []})"};

std::vector<std::string> words_for(const Rig& rig) {
  return {"/self/a",
          "/self/b/c",
          "/self/",
          "/shared/a",
          "/shared/",
          "/vm/web1/a",
          "/vm/",
          "/",
          "",
          "web1",
          "db1",
          "vm3",
          "boot-1",
          "boot-2",
          "hostcall.v1.Store/Get",
          "hostcall.v1.Host/Info",
          "connections",
          "store_keys",
          "web",
          "12345678-1234-1234-1234-123456789abc",
          "@hostcall-fuzz-vm",
          "job",
          "job",
          "door",
          "door",
          "far",
          rig.path_of("vm3"),
          kPolicies[1],
          "{\"rules\": [\xff",
          "\xff\xfe",
          "a\x1b[0m\n",
          "\u202e",
          "/self/../x",
          "/self/" + std::string(600, 'k')};
}

// A VM's socket may be anywhere, but not here.
bool is_harmless(const pb::MethodDescriptor& method, const std::string& payload, const Rig& rig) {
  if (method.name() != "VmAdd") return true;
  v1::VmAddRequest request;
  if (!request.ParseFromString(payload)) return true;
  const auto& path = request.record().unix_path();
  return path.empty() || path.starts_with('@') || path == rig.path_of("vm3");
}

class Caller {
 public:
  Caller(UniqueFd fd, bool is_admin) : is_admin(is_admin), peer(std::move(fd)) {}

  void begin(std::uint32_t stream, const pb::MethodDescriptor* method, std::string_view payload,
             const wire::RequestFields& fields, std::uint8_t flags) {
    last_stream = stream;
    // An id that is used twice is answered once.
    calls_.try_emplace(stream, method);
    std::string message(wire::request_size(fields, payload.size()), '\0');
    wire::write_request(fields, payload, message.data());
    peer.send_frame(FrameType::kRequest, stream, flags, message);
  }
  // Null: none that is known.
  const pb::MethodDescriptor* method_of(std::uint32_t stream) const {
    const auto at = calls_.find(stream);
    return at == calls_.end() ? nullptr : at->second;
  }
  void read() {
    peer.read([this](const wire::Frame& frame) { check(frame); });
  }

  const bool is_admin;
  RawPeer peer;
  std::uint32_t last_stream = UINT32_MAX;  // the next one is 1

 private:
  void check(const wire::Frame& frame) {
    switch (frame.header.type) {
      case FrameType::kResponse: return check_response(frame);
      case FrameType::kData: return check_data(frame);
      case FrameType::kWindow: return require(frame.data.size() == 4, "a Window has a number");
      case FrameType::kPing:
      case FrameType::kPong: return require(frame.data.size() == 8, "a Ping has a token");
      case FrameType::kGoaway: {
        const auto goaway = wire::decode_goaway(frame.data);
        return require(goaway && is_plain(goaway->text), "a Goaway is readable");
      }
      default: require(false, "a daemon sends no other frames");
    }
  }
  void check_response(const wire::Frame& frame) {
    const auto response = wire::parse_response(frame.data);
    require(response.has_value(), "a response is readable");
    require(wire::find_code_name(response->code) != nullptr, "a status has a known code");
    require(response->message.size() <= kMaxToldText && is_plain(response->message), "a status is bounded, plain text");
    require(calls_.contains(frame.header.stream), "only calls are answered");
    const auto* method = method_of(frame.header.stream);
    if (response->code != wire::Code::kOk) return;
    require(method != nullptr, "what does not exist does not succeed");
    require(parse_as(*method->output_type(), response->payload) != nullptr, "a reply is of its method's type");
    if (method->name() == "Hello") take_agreement(response->payload);
  }
  void check_data(const wire::Frame& frame) {
    const auto* method = method_of(frame.header.stream);
    require(method != nullptr && method->server_streaming(), "only streams stream");
    if ((frame.header.flags & wire::kNoData) != 0) return;
    require(parse_as(*method->output_type(), frame.data) != nullptr, "a message is of its method's type");
  }
  void take_agreement(std::string_view payload) {
    v1::HelloResponse response;
    require(response.ParseFromArray(payload.data(), static_cast<int>(payload.size())), "an agreement is one");
    if ((response.features() & wire::kFeatureCrc32c) != 0) peer.agree_on_crc();
  }

  std::map<std::uint32_t, const pb::MethodDescriptor*> calls_;  // all of them; null: no such method
};

class Script {
 public:
  explicit Script(Choices& choices) : choices_(choices), words_(words_for(rig_)) {
    ::signal(SIGPIPE, SIG_IGN);  // as hostcalld does
    rig_.lifetimes.next = &store_;
    daemon::test::register_services(rig_, runner_, host_calls_, store_.engine(), store_.condition());
    rig_.use_services(services());
    rig_.start();
  }
  ~Script() {
    callers_.clear();
    rig_.stop();
    rig_.lifetimes.next = nullptr;
  }

  void step() {
    const auto command = choices_.byte();
    act(command % 16);
    // Otherwise more comes before the daemon's turn.
    constexpr std::uint8_t kTurnsBelow = 0xC0;
    if (command < kTurnsBelow) turn();
  }
  void end() {
    callers_.clear();
    turn();
    rig_.stop();
    for (const auto& [name, vm] : rig_.registry.all())
      for (std::size_t i = 0; i < daemon::kResources; ++i)
        require(vm->quota.used(static_cast<daemon::Resource>(i)) == 0, "all charges are given back");
  }

 private:
  // The journal must be read, or it is full.
  void turn() {
    daemon::test::settle_with(rig_, store_);
    (void)rig_.log();
  }

  void act(int command) {
    constexpr Duration kTimes[] = {milliseconds(1), milliseconds(200), seconds(1), seconds(6), seconds(40)};
    if (command == 0 || callers_.empty()) return connect();
    auto& at = callers_[choices_.byte() % callers_.size()];
    auto& caller = *at;
    switch (command) {
      case 1: return hello(caller);
      case 8:
      case 9: return send_data(caller);
      case 10: return send_control(caller);
      case 11: return send_raw(caller);
      case 12: return pass(choices_.of(kTimes));
      case 13: return choices_.byte() % 4 == 0 ? change_policy() : act_on_host();
      case 14: return at.swap(callers_.back()), callers_.pop_back();
      case 15: return caller.read();
      default: request(caller);
    }
  }

  void connect() {
    constexpr std::size_t kMost = 6;
    constexpr const char* kSockets[] = {"web1", "web1", "db1", "admin"};
    const std::string name = choices_.of(kSockets);
    if (callers_.size() == kMost) return;
    const auto address = net::Address::parse("unix:" + rig_.path_of(name)).value();
    auto fd = net::start_connect(address, milliseconds(0));
    if (!fd.ok()) return;  // the VM was removed
    callers_.push_back(std::make_unique<Caller>(std::move(*fd), name == "admin"));
  }
  void hello(Caller& caller) {
    v1::HelloRequest request;
    request.set_features(choices_.byte() % 2 == 0 ? wire::kAllFeatures & ~std::uint64_t{wire::kFeatureCrc32c}
                                                  : choices_.byte());
    request.set_boot_id(choices_.byte() % 4 == 0 ? "boot-2" : "boot-1");
    begin(caller, *find_method("hostcall.v1.Session", "Hello"), request.SerializeAsString());
    turn();
    caller.read();
  }
  void request(Caller& caller) {
    const auto& methods = all_methods();
    const auto choice = choices_.byte();
    const auto& method = *methods[choice % methods.size()];
    const auto payload = MessageMaker(choices_, words_).make(*method.input_type());
    if (is_harmless(method, payload, rig_)) begin(caller, method, payload);
  }
  void begin(Caller& caller, const pb::MethodDescriptor& method, std::string_view payload) {
    constexpr std::uint8_t kExistsBelow = 0xF0;
    const auto odd = choices_.byte();
    const auto stream = stream_id(choices_, caller.last_stream + 2);
    const auto timeout = choices_.byte() % 2 == 0 ? 0 : static_cast<std::int64_t>(choices_.number() * 1'000'000);
    const bool exists = odd < kExistsBelow;
    const std::string service = exists ? method.service()->full_name() : "hostcall.v1.\x1bNone";
    const auto flags = method.client_streaming() ? wire::kRemoteOpen : wire::kRemoteClosed;
    caller.begin(stream, exists ? &method : nullptr, payload,
                 {.service = service, .method = method.name(), .timeout_nano = timeout},
                 odd % 16 == 1 ? static_cast<std::uint8_t>(odd >> 4) : flags);
  }
  void send_data(Caller& caller) {
    const auto stream = stream_id(choices_, caller.last_stream);
    const auto* method = caller.method_of(stream);
    const auto data =
        method == nullptr ? std::string(choices_.text()) : MessageMaker(choices_, words_).make(*method->input_type());
    caller.peer.send_frame(FrameType::kData, stream, static_cast<std::uint8_t>(choices_.byte() % 8), data);
  }
  void send_control(Caller& caller) {
    const auto type = choices_.of(kControls);
    const bool of_call = type == FrameType::kCancel || (type == FrameType::kWindow && choices_.byte() % 2 != 0);
    const auto stream = stream_id(choices_, of_call ? caller.last_stream : 0);
    caller.peer.send_frame(type, stream, 0, control_body(choices_, type));
  }
  // Not as an administrator, who may have sockets made anywhere.
  void send_raw(Caller& caller) {
    if (!caller.is_admin) caller.peer.send(choices_.text());
  }
  void pass(Duration time) {
    turn();
    rig_.advance(time, std::max<Duration>(time / 4, milliseconds(1)));
  }
  void change_policy() {
    const auto choice = choices_.byte();
    rig_.write_policy(kPolicies[choice % std::size(kPolicies)]);
    turn();
    rig_.server.reload([](const daemon::ReloadOutcome&) {});
  }

  // The programs and sockets of the host, and the runner between.
  std::string services() const {
    return R"({"services": [
      {"name": "job", "run": ["/bin/job"], "arguments": [".*", "rest"], "start_rate": 100, "timeout": "5s"},
      {"name": "door", "socket": "unix:)" +
           rig_.path_of("door") + R"(", "idle_timeout": "30s", "max_bytes": 100000,
       "preface": "proxy-v2"},
      {"name": "far", "socket": "tcp:127.0.0.1:1"}]})";
  }
  void act_on_host() {
    const auto choice = choices_.byte();
    switch (choice % 8) {
      case 0: return accept_at_door();
      case 1: return talk();
      case 2: return door_.reset();
      case 3:
        if (runner_.program != nullptr) runner_.program->on_started("pid 1");
        return;
      case 4:
        if (runner_.program != nullptr) runner_.program->on_ended({.exit_code = choice, .signal = 0, .reason = {}});
        return;
      case 5:
        if (runner_.program != nullptr) runner_.program->on_failed({wire::Code::kUnavailable, "not started"});
        return;
      case 6: return connect_far();
      default: runner_.fds[choice / 8 % 3].reset();
    }
  }
  void accept_at_door() {
    auto accepted = net::accept(door_listener_.get());
    if (accepted.ok()) door_ = std::move(*accepted);
  }
  // Both ways, with whoever listens.
  void talk() {
    const auto text = choices_.text();
    char buffer[4096];
    for (const int fd : {door_.get(), runner_.fds[0].get(), runner_.fds[1].get(), runner_.fds[2].get()}) {
      if (fd < 0) continue;
      ::fcntl(fd, F_SETFL, O_NONBLOCK);
      (void)!::write(fd, text.data(), text.size());
      (void)!::read(fd, buffer, sizeof buffer);
    }
  }
  void connect_far() {
    if (runner_.connecting == nullptr) return;
    int pair[2];
    require(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) == 0, "a socket pair");
    door_ = UniqueFd::adopt(pair[1]);
    runner_.connecting->on_connected(UniqueFd::adopt(pair[0]));
  }

  Choices& choices_;
  daemon::HostCalls host_calls_;
  Rig rig_;
  daemon::test::ScriptedRunner runner_;
  const UniqueFd door_listener_ = std::move(net::listen(net::unix_address(rig_.path_of("door")))).value();
  UniqueFd door_;
  const std::vector<std::string> words_;
  daemon::StoreHost store_{rig_.reactor, rig_.journal, rig_.directory.path()};
  std::vector<std::unique_ptr<Caller>> callers_;
};

}  // namespace
}  // namespace hostcall::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  return hostcall::fuzz::play(bytes, size, &hostcall::fuzz::Script::end);
}
