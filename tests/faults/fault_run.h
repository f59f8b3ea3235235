// FaultRun: the life of one daemon in which one call to the kernel fails, and what must hold whichever that is: a
// daemon that has started goes on serving; one that can't start, or fails while it stops, says why in one line; nothing
// acknowledged is lost, and nothing hangs.
#pragma once

#include <google/protobuf/message_lite.h>

#include <map>
#include <memory>
#include <optional>
#include <string>

#include "tests/support/daemon_process.h"
#include "tests/support/fault_control.h"
#include "tests/support/shared_memory.h"
#include "tests/support/wire_client.h"

namespace hostcall::test {

// The parts of a life, in order.
enum class Phase : std::uint32_t { kStart, kAccept, kCommit, kWork, kShutdown };
inline constexpr const char* kPhaseNames[] = {"the start", "an accept", "a commit", "other work", "the shutdown"};

struct Fault {
  std::uint64_t site = 0;       // 0: any call
  int error = 0;                // errno or FAULT_SHORT; 0: the first error of the call's kind
  std::uint32_t countdown = 1;  // which of the calls from `from` on fails, counted from 1; 0: none
  Phase from = Phase::kStart;
};

// "recv in an accept, called from 0x1234 0x5678": the addresses are the program's, for addr2line.
std::string name_of(const fault_site& site);

// The file that a test shares with the shim.
class FaultControl {
 public:
  explicit FaultControl(const TempDir& directory);

  fault_control* operator->() { return control_.operator->(); }
  // For the program that preloads the shim.
  std::map<std::string, std::string> environment() const;
  // The next calls that match fail.
  void arm(const Fault& fault);

 private:
  std::string path_;
  SharedMemory<fault_control> control_;
};

class FaultRun {
 public:
  // `depth`: how many callers make a call site.
  explicit FaultRun(std::uint32_t depth);

  // Lives. Reports what does not hold as failures of the running test, and which call had failed.
  void run(const Fault& fault);
  // What happened; valid until this object is gone.
  FaultControl& control() { return control_; }

 private:
  void live();
  void enter(Phase phase);
  bool is_running();
  bool starts();
  void meet();
  void write();
  void work();
  bool neighbour_is_served();
  void end();
  void expect_last_words(int code);
  void expect_nothing_lost();
  std::optional<Answer> ask(std::unique_ptr<WireClient>& client, const std::string& address, const std::string& method,
                            const google::protobuf::MessageLite& request);
  std::optional<Answer> ask_once(const std::string& address, const std::string& method);
  void put(const std::string& key, const std::string& value);
  void add_vm(const std::string& name);

  DaemonProcess daemon_;
  FaultControl control_;
  Fault fault_;
  std::unique_ptr<WireClient> web_, admin_;
  std::map<std::string, std::string> acknowledged_;  // keys and their values
  std::optional<std::string> acknowledged_vm_;
};

}  // namespace hostcall::test
