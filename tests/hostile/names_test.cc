// Names that are meant to lead elsewhere, or to fill the journal: of methods, and of keys.
#include "tests/hostile/bursts.h"
#include "tests/hostile/calls.h"
#include "tests/hostile/exchange.h"
#include "tests/hostile/flood.h"
#include "tests/support/wire_client.h"

namespace hostcall::test {
namespace {

using As = Exchange::As;

std::string named_call(std::uint32_t stream, std::string_view service, std::string_view method) {
  return request_frame(stream, {.service = service, .method = method});
}

std::string get_key(const std::string& key) { return call(3, "Store/Get", get(key)); }

const std::string kNul("/self/a\0b", 9);

const Exchange kExchanges[] = {
    {"NewlineInAMethod", As::kBoth, named_call(3, "hostcall.v1.Host", "In\nfo\x1b[31m"), "UNIMPLEMENTED"},
    {"NulInAMethod", As::kBoth, named_call(3, "hostcall.v1.Host", std::string_view("Info\0", 5)), "UNIMPLEMENTED"},
    {"NoMethod", As::kBoth, named_call(3, "hostcall.v1.Host", ""), "UNIMPLEMENTED"},
    {"NoService", As::kBoth, named_call(3, "", ""), "UNIMPLEMENTED"},
    {"Admin", As::kBoth, named_call(3, "hostcall.v1.Admin", "Stats"), "UNIMPLEMENTED"},
    {"SlashInAService", As::kBoth, named_call(3, "hostcall.v1.Host/Info", ""), "UNIMPLEMENTED"},
    {"PathAsAService", As::kBoth, named_call(3, "../../hostcall.v1.Host", "Info"), "UNIMPLEMENTED"},
    {"LongMethod", As::kBoth, named_call(3, "hostcall.v1.Host", std::string(200'000, 'm')), "UNIMPLEMENTED"},
    {"ServiceOfAMebibyte", As::kBoth, named_call(3, std::string(1 << 20, 's'), "Info"), "RESOURCE_EXHAUSTED"},
    {"NotUtf8", As::kBoth, named_call(3, "\xff\xfe", "\xff"), "UNIMPLEMENTED"},
    {"DotsInAKey", As::kBoth, get_key("/self/../shared/x"), "INVALID_ARGUMENT"},
    {"DotInAKey", As::kBoth, get_key("/self/./x"), "INVALID_ARGUMENT"},
    {"DotsAtTheEnd", As::kBoth, get_key("/self/.."), "INVALID_ARGUMENT"},
    {"TwoSlashes", As::kBoth, get_key("/self//x"), "INVALID_ARGUMENT"},
    {"NulInAKey", As::kBoth, get_key(kNul), "INVALID_ARGUMENT"},
    {"NewlineInAKey", As::kBoth, get_key("/self/a\nb"), "INVALID_ARGUMENT"},
    {"KeyOfAnotherVm", As::kBoth, get_key("/vm/db1/x"), "INVALID_ARGUMENT"},
    {"NoKey", As::kBoth, get_key(""), "INVALID_ARGUMENT"},
    {"RelativeKey", As::kBoth, get_key("self/x"), "INVALID_ARGUMENT"},
    {"LongKey", As::kBoth, get_key("/self/" + std::string(1024, 'k')), "INVALID_ARGUMENT"},
    {"KeyOfAMebibyte", As::kBoth, get_key("/self/" + std::string(1 << 20, 'k')), "RESOURCE_EXHAUSTED"},
    {"AllOfTheStore", As::kBoth, call(3, "Store/List", list("/")), "INVALID_ARGUMENT"},
    {"ListOfAnotherVm", As::kBoth, call(3, "Store/List", list("/vm/db1/")), "INVALID_ARGUMENT"},
    {"ContinuationOfAnotherVm", As::kBoth, call(3, "Store/List", list("/self/", false, "/vm/db1/x")),
     "INVALID_ARGUMENT"},
    {"ContinuationElsewhere", As::kBoth, call(3, "Store/List", list("/self/", false, "/shared/x")), "OUT_OF_RANGE"},
    {"ContinuationThatIsNoKey", As::kBoth, call(3, "Store/List", list("/self/", false, "/self/../../x")),
     "INVALID_ARGUMENT"},
    {"WatchOfAnotherVm", As::kBoth, call(3, "Store/Watch", watch("/vm/db1/"), wire::kRemoteClosed), "INVALID_ARGUMENT"},
};
HOSTCALL_EXCHANGES(Names, kExchanges);

// Each is another one, so that the journal can't count them as equal.
std::string new_name(std::uint32_t stream) { return std::to_string(stream) + std::string(500, '\n'); }

const Flood kFloods[] = {
    {.name = "MethodsThatAreNone",
     .script = {.burst = block_of_calls(
                    [](auto stream) { return named_call(stream, "hostcall.v1.Host", new_name(stream)); })},
     .must_come = {"OK", "UNIMPLEMENTED"},
     .connections = 16},
    {.name = "KeysThatAreNone",
     .script = {.burst = block_of_calls(
                    [](auto stream) { return call(stream, "Store/Get", get("/self/../" + std::to_string(stream))); })},
     .must_come = {"OK", "INVALID_ARGUMENT"},
     .connections = 16},
    {.name = "DeniedCallsOfNewKeys",
     .script = {.burst = block_of_calls(
                    [](auto stream) { return call(stream, "Store/Get", get("/shared/" + std::to_string(stream))); })},
     .must_come = {"OK", "PERMISSION_DENIED"},
     .connections = 16,
     .options = {.policy_json =
                     R"({"rules": [{"vms": ["*"], "calls": ["hostcall.v1.Session/*"], "action": "allow"}]})"}},
};
HOSTCALL_FLOODS(Names, kFloods);

TEST(Hostile, GuestTextIsEscapedInAnswers) {
  DaemonProcess daemon;
  WireClient client(daemon.vm_address("web1"));
  const auto answer = client.call("hostcall.v1.Host/In\nfo\x1b[31m");
  EXPECT_EQ(answer.status.code, wire::Code::kUnimplemented);
  EXPECT_EQ(answer.status.message.find('\n'), std::string::npos);
  EXPECT_EQ(answer.status.message.find('\x1b'), std::string::npos);
}

}  // namespace
}  // namespace hostcall::test
