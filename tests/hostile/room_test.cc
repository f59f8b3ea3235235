// Messages of streams that wait until there is room for them among what the VM has not read: costly to make, and made
// for nothing if they are tried whenever some room appears, or with each event of their stream.
#include "tests/hostile/attacker.h"
#include "tests/hostile/calls.h"
#include "tests/hostile/stage.h"

namespace hostcall::test {
namespace {

using std::chrono::milliseconds;

constexpr std::size_t kLargeBytes = 250 * 1024;
constexpr std::uint32_t kSourceStream = 1001;

std::string echo_stream(std::uint32_t stream) {
  return raw_call(stream, "Diagnostics/EchoStream", {}, wire::kRemoteOpen) +
         data(stream, echo(kLargeBytes).SerializeAsString());
}
std::string source(std::uint32_t chunk_bytes) {
  return call(kSourceStream, "Diagnostics/Source", endless_source(chunk_bytes), wire::kRemoteClosed);
}

// What comes and goes faster than anybody can look at charges must be little.
constexpr char kLittleMemory[] = R"("limits": {"memory_bytes": 2097152})";

// These use up nearly all room, and never read.
constexpr int kHolders = 6;
const Script kHolder{.says_hello = false, .opening = source(16 * 1024), .reads = false};

struct Guest {
  Guest(const std::string& path, const Script& script) : holders(path, kHolder, kHolders, tally) {
    holders.run(milliseconds(50));
    waiter = std::make_unique<Attacker>(path, script, 1, tally);
  }
  Tally tally;
  Attacker holders;
  std::unique_ptr<Attacker> waiter;
};

void withstand(const Script& script, const DaemonOptions& options = {}) {
  Stage stage(options);
  stage.withstand([&] {
    const auto guest = std::make_shared<Guest>(stage.hostile_path(), script);
    return [guest](milliseconds time) { guest->waiter->run(time); };
  });
}

TEST(Room, MessagesThatWaitForItHurtNobodyElse) {
  constexpr std::size_t kStreams = 60;
  std::string opening;
  for (std::uint32_t i = 0; i < kStreams; ++i) opening += echo_stream(2 * i + 1);
  // Its small messages make some room whenever they are read.
  withstand({.says_hello = false, .opening = opening + source(512)});
}

TEST(Room, EventsOfAStreamThatWaitsForItHurtNobodyElse) {
  withstand({.says_hello = false,
             .opening = echo_stream(1),
             .burst = [](std::uint32_t&) { return repeated(400, [](std::size_t) { return data(1, ""); }); }},
            {.config_json = kLittleMemory});
}

}  // namespace
}  // namespace hostcall::test
