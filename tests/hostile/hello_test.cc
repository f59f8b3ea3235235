// Hello as no honest client says it.
#include <utility>

#include "tests/hostile/bursts.h"
#include "tests/hostile/calls.h"
#include "tests/hostile/exchange.h"
#include "tests/hostile/flood.h"

namespace hostcall::test {
namespace {

using As = Exchange::As;

constexpr std::uint64_t kUnchecked = wire::kAllFeatures & ~wire::kFeatureCrc32c;
constexpr char kNotUtf8[] = "\x0a\x01\xff";

std::string named_hello(std::size_t name_bytes, std::size_t boot_bytes) {
  auto request = hello(kUnchecked, std::string(boot_bytes, 'b'));
  request.set_client_name(std::string(name_bytes, 'n'));
  return call(1, "Session/Hello", request);
}

const Exchange kExchanges[] = {
    {"Twice", As::kExtended, call(3, "Session/Hello", hello(kUnchecked)), "FAILED_PRECONDITION"},
    {"AsSecondCall", As::kBase, raw_call(1, "Session/Ping") + call(3, "Session/Hello", hello(kUnchecked)),
     "FAILED_PRECONDITION OK"},
    {"LongestTexts", As::kBase, named_hello(64, 64), "OK"},
    {"LongName", As::kBase, named_hello(65, 1), "INVALID_ARGUMENT"},
    {"LongBootId", As::kBase, named_hello(1, 65), "INVALID_ARGUMENT"},
    {"NameOfAMebibyte", As::kBase, named_hello(1 << 20, 1), "RESOURCE_EXHAUSTED"},
    {"NotUtf8", As::kBase, raw_call(1, "Session/Hello", kNotUtf8), "INVALID_ARGUMENT"},
    {"NotAMessage", As::kBase, raw_call(1, "Session/Hello", "\xff\xff\xff"), "INVALID_ARGUMENT"},
    {"AsAStream", As::kBase, raw_call(1, "Session/Hello", {}, wire::kRemoteOpen), "INVALID_ARGUMENT"},
    {"AfterARefusedOne", As::kBase, named_hello(65, 1) + call(3, "Session/Hello", hello(0)), "INVALID_ARGUMENT OK"},
    {"OnAnotherStream", As::kBase, call(7, "Session/Hello", hello(0)), "OK"},
    {"WithoutFeatures", As::kBase, hello_call(0) + ping(), "OK violation", "not agreed"},
    {"UnknownFeatures", As::kBase, hello_call(~std::uint64_t{wire::kFeatureCrc32c}) + ping(), "OK Pong"},
    {"OnlyPing", As::kBase, hello_call(wire::kFeaturePing) + ping() + window(0, 1), "OK Pong violation", "not agreed"},
    {"Cancelled", As::kBase, hello_call(kUnchecked) + cancel(1), "OK"},
    {"GoawayOfTheCaller", As::kExtended,
     frame(wire::FrameType::kGoaway, 0, 0, be32(0) + be32(6) + be32(0) + "bye") + raw_call(3, "Session/Ping"),
     "UNAVAILABLE closed"},
};
HOSTCALL_EXCHANGES(Hello, kExchanges);

// Each ends the sessions of the boot before.
std::string next_boot() {
  static int boot = 0;
  return hello_call(kUnchecked, "boot-" + std::to_string(++boot));
}

const Flood kFloods[] = {
    {.name = "HelloAgainAndAgain",
     .script = {.burst = block_of_calls([](auto stream) { return call(stream, "Session/Hello", hello(kUnchecked)); })},
     .must_come = {"OK", "FAILED_PRECONDITION"},
     .connections = 16},
    {.name = "RefusedHellos",
     .script = {.says_hello = false,
                .burst = block_of_calls([](auto stream) { return raw_call(stream, "Session/Hello", kNotUtf8); })},
     .must_come = {"INVALID_ARGUMENT"},
     .connections = 16},
    {.name = "NewBoots",
     .script = {.says_hello = false,
                .burst = [](std::uint32_t& stream) { return std::exchange(stream, 3) == 1 ? next_boot() : ping(); },
                .pause = std::chrono::milliseconds(1)},
     .must_come = {"OK", "Goaway2", "closed"},
     .may_come = {"Pong"},
     .connections = 16},
};
HOSTCALL_FLOODS(Hello, kFloods);

}  // namespace
}  // namespace hostcall::test
