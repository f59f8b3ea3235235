// Fuzzes Hello on both sides. The daemon's: whatever a caller says, it is refused, or both ends agree, so that a call
// with all that was agreed succeeds, and a second Hello does not. The client's: whatever answer comes, its values are
// clamped.
//
// Input: one byte for the side and choices; for the client's, the answer.
#include "client/lib/hello.h"
#include "proto/base/escape.h"
#include "tests/fuzz/messages.h"
#include "tests/support/rig.h"
#include "tests/support/test_methods.h"

namespace hostcall::fuzz {
namespace {

using daemon::test::Rig;
using daemon::test::WireClient;

constexpr char kHello[] = "hostcall.v1.Session/Hello";
constexpr char kPing[] = "hostcall.v1.Session/Ping";
const std::vector<std::string> kWords = {
    "", "boot-1", "boot-2", std::string(64, 'b'), std::string(65, 'b'), "\xff", "\x1b[0m", "\u202e", "a\nb"};

void check_ping(WireClient& peer, const std::string& payload) {
  v1::PingRequest request;
  request.set_payload(payload);
  const auto answer = peer.call(kPing, request);
  v1::PingResponse response;
  require(
      answer.arrived && answer.status.ok() && response.ParseFromString(answer.payload) && response.payload() == payload,
      "after Hello, both ends understand each other");
}

void check_agreement(WireClient& peer, std::string_view request, const std::string& response_bytes) {
  v1::HelloResponse response;
  require(response.ParseFromString(response_bytes), "the answer to Hello is one");
  v1::HelloRequest asked;
  require(asked.ParseFromArray(request.data(), static_cast<int>(request.size())), "what is agreed to was understood");
  require((response.features() & ~(asked.features() & wire::kAllFeatures)) == 0, "only features that both have");
  require(response.vm_name() == "web1", "a VM hears its name");
  const auto agreement = client::parse_hello(response_bytes, {.crc = true});
  require(agreement && agreement->extension.features == response.features(), "the client library understands it");
  peer.endpoint().enable(agreement->extension);
  require(peer.endpoint().violation() == nullptr, "an honest agreement breaks no rule");
}

void hello_daemon(Choices& choices) {
  Rig rig;
  daemon::test::register_test_methods(rig.router);
  rig.start();
  std::vector<std::unique_ptr<WireClient>> peers;  // a new boot may end the earlier ones
  while (!choices.empty()) {
    const auto request = MessageMaker(choices, kWords).make(*find_method("hostcall.v1.Session", "Hello")->input_type());
    auto& peer = *peers.emplace_back(rig.peer("web1"));
    const auto answer = peer.finish(peer.start(kHello, request));
    if (!answer.arrived) continue;  // over a limit of connections
    require(is_plain(answer.status.message), "a refusal is plain text");
    if (answer.status.ok()) check_agreement(peer, request, answer.payload);
    if (answer.status.code == wire::Code::kResourceExhausted) continue;
    check_ping(peer, std::string(choices.text()));
    const auto again = peer.finish(peer.start(kHello, request));
    require(again.arrived && !again.status.ok(), "one Hello for a connection, and only as its first call");
  }
  peers.clear();
  rig.stop();
  for (std::size_t i = 0; i < daemon::kResources; ++i)
    require(rig.vm("web1").quota.used(static_cast<daemon::Resource>(i)) == 0, "all charges return");
  require(rig.vm("web1").boot_id.size() <= 1'024, "a boot id is bounded");
}

void hello_client(Choices& choices) {
  constexpr std::size_t kMaxText = 256;
  const bool crc = choices.byte() % 2 != 0;
  const auto answer =
      choices.byte() % 4 == 0
          ? std::string(choices.rest())
          : MessageMaker(choices, kWords).make(*find_method("hostcall.v1.Session", "Hello")->output_type());
  const auto agreement = client::parse_hello(answer, {.crc = crc});
  if (!agreement) return;
  const auto features = wire::kAllFeatures & ~(crc ? 0 : std::uint64_t{wire::kFeatureCrc32c});
  require((agreement->extension.features & ~features) == 0, "no feature that was not asked for");
  for (const auto* text : {&agreement->vm_name, &agreement->daemon_epoch, &agreement->daemon_version})
    require(text->size() <= kMaxText, "texts are bounded");
  require(agreement->max_message_bytes > 0 && agreement->max_message_bytes <= wire::kMaxDataBytes,
          "a message has a possible size");
  const auto beat = agreement->heartbeat_interval;
  require(beat == milliseconds(0) || (beat >= milliseconds(100) && beat <= std::chrono::hours(24)),
          "a host can't keep its guests busy");
}

}  // namespace
}  // namespace hostcall::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  using namespace hostcall::fuzz;
  Choices choices(bytes, size);
  choices.byte() % 2 == 0 ? hello_daemon(choices) : hello_client(choices);
  return 0;
}
