#include "tests/faults/fault_run.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>

#include <cstdio>
#include <stdexcept>

#include "hostcall/v1/admin.pb.h"
#include "hostcall/v1/diagnostics.pb.h"
#include "hostcall/v1/store.pb.h"

namespace hostcall::test {
namespace {

using wire::Code;
using wire::Shape;

// One call fails, which may cost the connection that made it, and the next one that finds out.
constexpr int kTries = 3;

DaemonOptions options() {
  return {.vms = {"web1", "db1"},
          .config_json = R"("limits": {"connect_rate": 1000, "connect_burst": 1000})",
          .timeouts_ms = {{"drain_ms", 100}},
          .starts = false};
}

bool is_ok(const std::optional<Answer>& answer) { return answer && answer->status.ok(); }

std::unique_ptr<WireClient> connect(const std::string& address) {
  try {
    return std::make_unique<WireClient>(address);
  } catch (const std::runtime_error&) {
    return nullptr;
  }
}

}  // namespace

std::string name_of(const fault_site& site) {
  std::string text = std::string(fault_kinds[site.kind].name) + " in " + kPhaseNames[site.phase] + ", called from";
  for (const auto frame : site.frames) {
    if (frame == 0) continue;
    char hexadecimal[24];
    std::snprintf(hexadecimal, sizeof hexadecimal, " 0x%llx", static_cast<unsigned long long>(frame));
    text += hexadecimal;
  }
  return text;
}

// ---------------------------------------------------------------- FaultControl

FaultControl::FaultControl(const TempDir& directory) : path_(directory / "fault_control"), control_(path_) {
  control_->depth = 1;
}

std::map<std::string, std::string> FaultControl::environment() const {
  return {{"LD_PRELOAD", FAULT_SHIM}, {"FAULT_SHIM_CONTROL", path_}};
}

void FaultControl::arm(const Fault& fault) {
  control_->site = fault.site;
  control_->error = fault.error;
  __atomic_store_n(&control_->countdown, fault.countdown, __ATOMIC_RELEASE);
}

// ---------------------------------------------------------------- FaultRun

FaultRun::FaultRun(std::uint32_t depth) : daemon_(options()), control_(daemon_.directory()) { control_->depth = depth; }

void FaultRun::run(const Fault& fault) {
  fault_ = fault;
  const auto& result = *testing::UnitTest::GetInstance()->current_test_info()->result();
  const int before = result.total_part_count();
  live();
  if (result.total_part_count() == before || control_->failures == 0) return;
  for (const auto& site : control_->sites)
    if (site.id == control_->failed_site) std::printf("the call that failed: %s\n", name_of(site).c_str());
}

void FaultRun::live() {
  enter(Phase::kStart);
  daemon_.launch(control_.environment());
  if (starts()) {
    enter(Phase::kAccept);
    meet();
    enter(Phase::kCommit);
    write();
    enter(Phase::kWork);
    work();
    EXPECT_TRUE(neighbour_is_served()) << "a daemon that has started serves whom the fault does not concern";
  }
  enter(Phase::kShutdown);
  end();
  expect_nothing_lost();
}

void FaultRun::enter(Phase phase) {
  control_->phase = static_cast<std::uint32_t>(phase);
  if (phase == fault_.from) control_.arm(fault_);
}

// Leaves its status for Process.
bool FaultRun::is_running() {
  siginfo_t info{};
  return ::waitid(P_PID, static_cast<id_t>(daemon_.process().pid()), &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
         info.si_pid == 0;
}

// Whether it is there. Its own word for it may be what could not be written.
bool FaultRun::starts() {
  bool is_there = false;
  EXPECT_TRUE(eventually([&] {
    is_there = is_running() && connect(daemon_.admin_address()) != nullptr;
    return is_there || !is_running();
  })) << "the start hangs";
  return is_there;
}

// Makes a call, on a new connection if the last one was lost. Nothing: the connection ended.
std::optional<Answer> FaultRun::ask(std::unique_ptr<WireClient>& client, const std::string& address,
                                    const std::string& method, const google::protobuf::MessageLite& request) {
  if (!client) client = connect(address);
  if (!client) return std::nullopt;
  auto answer = client->call(method, request);
  if (answer.arrived) return answer;
  EXPECT_TRUE(client->closed()) << method << " hangs";
  client.reset();
  return std::nullopt;
}

std::optional<Answer> FaultRun::ask_once(const std::string& address, const std::string& method) {
  std::unique_ptr<WireClient> client;
  return ask(client, address, method, v1::PingRequest());
}

void FaultRun::meet() {
  for (int i = 0;
       i < kTries && !is_ok(ask(web_, daemon_.vm_address("web1"), "hostcall.v1.Session/Ping", v1::PingRequest()));
       ++i) {
  }
}

void FaultRun::put(const std::string& key, const std::string& value) {
  v1::PutRequest request;
  request.set_key(key);
  request.set_value(value);
  if (is_ok(ask(web_, daemon_.vm_address("web1"), "hostcall.v1.Store/Put", request))) acknowledged_[key] = value;
}

void FaultRun::write() {
  put("/self/a", "1");
  put("/self/b", std::string(5000, 'b'));
  put("/self/c", "3");
}

void FaultRun::add_vm(const std::string& name) {
  v1::VmAddRequest add;
  add.mutable_record()->set_name(name);
  add.mutable_record()->set_unix_path(daemon_.vm_path(name));
  add.set_persistent(true);
  if (is_ok(ask(admin_, daemon_.admin_address(), "hostcall.v1.Admin/VmAdd", add))) acknowledged_vm_ = name;
}

void FaultRun::work() {
  add_vm("extra");
  v1::VmAddRequest add;
  add.mutable_record()->set_name("passing");
  add.mutable_record()->set_unix_path(daemon_.vm_path("passing"));
  ask(admin_, daemon_.admin_address(), "hostcall.v1.Admin/VmAdd", add);
  v1::VmRemoveRequest remove;
  remove.set_name("passing");
  ask(admin_, daemon_.admin_address(), "hostcall.v1.Admin/VmRemove", remove);
  ask(admin_, daemon_.admin_address(), "hostcall.v1.Admin/Reload", v1::ReloadRequest());
  admin_.reset();
  for (const char* method : {"hostcall.v1.Host/Info", "hostcall.v1.Host/Metrics", "hostcall.v1.Session/Descriptors"})
    ask(web_, daemon_.vm_address("web1"), method, v1::PingRequest());
  if (const auto stream_client = connect(daemon_.vm_address("web1"))) {
    v1::SourceRequest source;
    source.set_total_bytes(300'000);
    source.set_chunk_bytes(10'000);
    const auto stream =
        stream_client->start("hostcall.v1.Diagnostics/Source", source.SerializeAsString(), Shape::kServerStream);
    while (stream_client->receive(stream)) continue;
    EXPECT_TRUE(stream_client->finish(stream).arrived || stream_client->closed()) << "a stream hangs";
  }
  put("/self/d", "after the work");
}

bool FaultRun::neighbour_is_served() {
  for (int i = 0; i < kTries; ++i)
    if (is_ok(ask_once(daemon_.vm_address("db1"), "hostcall.v1.Session/WhoAmI"))) return true;
  return false;
}

void FaultRun::end() {
  web_.reset();
  const bool stopped_by_itself = !is_running();
  daemon_.process().signal(SIGTERM);
  const auto code = daemon_.process().wait();
  if (!code) {
    ADD_FAILURE() << "the shutdown hangs: " << daemon_.process().errors();
    daemon_.process().signal(SIGKILL);
    return;
  }
  EXPECT_FALSE(stopped_by_itself && *code == 0) << "stopped without a reason: " << daemon_.process().errors();
  if (*code != 0) expect_last_words(*code);
}

// A crash has none. The fault may be what keeps them from being written.
void FaultRun::expect_last_words(int code) {
  const auto& said = daemon_.process().errors();
  EXPECT_LT(code, 128) << "crashed: " << said;
  if (control_->failed_kind == FAULT_WRITE_PIPE) return;
  const auto last = said.rfind("\nhostcalld: ");
  const auto begin = last != std::string::npos ? last + 1 : said.starts_with("hostcalld: ") ? 0 : std::string::npos;
  ASSERT_NE(begin, std::string::npos) << "exit code " << code << " without a reason: " << said;
  EXPECT_EQ(said.find('\n', begin), said.size() - 1) << "more than one line: " << said;
}

// Once the fault is gone.
void FaultRun::expect_nothing_lost() {
  daemon_.restart();
  for (const auto& [key, value] : acknowledged_) {
    v1::GetRequest get;
    get.set_key(key);
    v1::GetResponse found;
    const auto answer = ask(web_, daemon_.vm_address("web1"), "hostcall.v1.Store/Get", get);
    ASSERT_TRUE(is_ok(answer) && found.ParseFromString(answer->payload)) << key;
    EXPECT_EQ(found.item().value(), value) << key << " is lost";
  }
  if (acknowledged_vm_) {
    EXPECT_TRUE(is_ok(ask_once(daemon_.vm_address(*acknowledged_vm_), "hostcall.v1.Session/WhoAmI")))
        << *acknowledged_vm_ << " is lost";
  }
  web_.reset();
  EXPECT_EQ(daemon_.stop(), 0) << daemon_.process().errors();
}

}  // namespace hostcall::test
