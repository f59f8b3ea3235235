// The daemon whose costs are measured, by its directory (tests/bench/lib/systems.py) and its process.
#pragma once

#include <google/protobuf/message_lite.h>
#include <sys/types.h>

#include <optional>
#include <stdexcept>
#include <string>

#include "tests/bench/harness/measure.h"
#include "tests/support/wire_client.h"

namespace hostcall::bench {

using test::WireClient;

struct Target {
  std::string directory;
  pid_t pid;

  std::string admin() const { return "unix:" + directory + "/admin.sock"; }
  std::string socket(const std::string& vm) const { return directory + "/" + vm + ".sock"; }
  std::string vm(const std::string& name) const { return "unix:" + socket(name); }
};

// Calls and throws unless the answer is OK.
void call(WireClient& client, const std::string& method, const google::protobuf::MessageLite& request);
template <class Response>
Response ask(WireClient& client, const std::string& method, const google::protobuf::MessageLite& request);

// What the daemon counts under this name in Admin/Stats.
std::uint64_t counter(WireClient& admin, const std::string& name);
// Bytes that the daemon has written to files.
std::uint64_t written_bytes(const Target& target);

// The processor time of its main thread. Exact while another thread runs on its core.
double reactor_cpu_s(const Target& target);

// Time and the daemon's processor time from construction on.
class Cost {
 public:
  explicit Cost(const Target& target) : target_(target), begin_(Moment::now(target.pid)) {}
  // Asks until the daemon counts so many. What the asking costs is found out afterwards, and left out.
  void wait_for_counter(const std::string& name, std::uint64_t value);
  // Adds NAME_s and NAME_cpu_s. The former has all waiting in it.
  void add_to(Result& result, const std::string& name) const;

 private:
  const Target& target_;
  Moment begin_;
  double asking_cpu_s_ = 0;
  std::optional<Moment> end_;  // of the waiting
};

template <class Response>
Response ask(WireClient& client, const std::string& method, const google::protobuf::MessageLite& request) {
  const auto answer = client.call(method, request);
  Response response;
  if (!answer.arrived || !answer.status.ok() || !response.ParseFromString(answer.payload))
    throw std::runtime_error(method + ": " + (answer.arrived ? answer.status.message : "no answer"));
  return response;
}

}  // namespace hostcall::bench
