// Messages that cost more than they weigh: nesting, empty and unknown fields, metadata, text that is none; and requests
// of services that make much of little.
#include "tests/hostile/bursts.h"
#include "tests/hostile/calls.h"
#include "tests/hostile/exchange.h"
#include "tests/hostile/flood.h"

namespace hostcall::test {
namespace {

using As = Exchange::As;

constexpr char kNotUtf8[] = "\x0a\x01\xff";       // field 1, a string of one byte
constexpr char kUnknownField[] = "\xf8\x7f\x01";  // field 2047, a number

std::string copies(std::size_t times, std::string_view bytes) {
  return repeated(times, [&](std::size_t) { return std::string(bytes); });
}

// Groups inside each other, which protobuf-lite would walk by recursion.
std::string nested_groups(std::size_t depth) { return copies(depth, "\x7b") + copies(depth, "\x7c"); }

// A Request whose message has these bytes behind its service and method.
std::string request_with(std::uint32_t stream, std::string_view method, std::string_view more) {
  const auto known = raw_call(stream, method).substr(wire::kHeaderBytes);
  return frame(wire::FrameType::kRequest, stream, 0, known + std::string(more));
}

std::string empty_metadata(std::size_t count) { return copies(count, std::string_view("\x2a\x00", 2)); }
std::string empty_compares(std::size_t count) { return copies(count, std::string_view("\x0a\x00", 2)); }
std::string empty_operations(std::size_t count) { return copies(count, std::string_view("\x12\x00", 2)); }

const Exchange kExchanges[] = {
    {"NestedGroups", As::kBoth, raw_call(3, "Session/Ping", nested_groups(1000)), "INVALID_ARGUMENT"},
    {"NestedGroupsInTheEnvelope", As::kBoth, request_with(3, "Session/Ping", nested_groups(1000)), "violation"},
    {"TextThatIsNotUtf8", As::kBoth, raw_call(3, "Store/Get", kNotUtf8), "INVALID_ARGUMENT"},
    {"ManyUnknownFields", As::kBoth, raw_call(3, "Session/Ping", copies(60'000, kUnknownField)), "INVALID_ARGUMENT"},
    {"AFewUnknownFields", As::kBoth, raw_call(3, "Session/Ping", copies(1000, kUnknownField)), "OK"},
    {"UnknownFieldsOfTheEnvelope", As::kBoth, request_with(3, "Session/Ping", copies(60'000, kUnknownField)), "OK"},
    {"ManyMetadata", As::kBoth, request_with(3, "Session/Ping", empty_metadata(100'000)), "OK"},
    {"ManyEmptyCompares", As::kBoth, raw_call(3, "Store/Txn", empty_compares(100'000)), "INVALID_ARGUMENT"},
    {"EmptyCompares", As::kBoth, raw_call(3, "Store/Txn", empty_compares(128)), "INVALID_ARGUMENT"},
    {"EmptyOperations", As::kBoth, raw_call(3, "Store/Txn", empty_operations(128)), "INVALID_ARGUMENT"},
    {"HalfAField", As::kBoth,
     raw_call(3, "Store/Get",
              "\x0a\x7f"
              "x"),
     "INVALID_ARGUMENT"},
    {"ALengthOfFourGibibytes", As::kBoth, raw_call(3, "Store/Get", "\x0a\xff\xff\xff\xff\x0f"), "INVALID_ARGUMENT"},
    {"AWrongWireType", As::kBoth, raw_call(3, "Store/Get", "\x08\x01"), "INVALID_ARGUMENT"},
    {"ServiceTwice", As::kBoth, request_with(3, "Session/Ping", field(1, "hostcall.v1.Host")), "UNIMPLEMENTED"},
};
HOSTCALL_EXCHANGES(Protobuf, kExchanges);

Burst calls_of(const std::string& method, const std::string& payload = {}) {
  return block_of_calls([=](std::uint32_t stream) { return raw_call(stream, method, payload); });
}

const Flood kFloods[] = {
    {.name = "TextThatIsNotUtf8",
     .script = {.burst = calls_of("Store/Get", kNotUtf8)},
     .must_come = {"OK", "INVALID_ARGUMENT"},
     .connections = 16},
    {.name = "UnknownFields",
     .script = {.burst = calls_of("Session/Ping", copies(1000, kUnknownField))},
     .must_come = {"OK"},
     .connections = 16},
    {.name = "Metadata",
     .script = {.burst = block_of_calls(
                    [](auto stream) { return request_with(stream, "Session/Ping", empty_metadata(30'000)); })},
     .must_come = {"OK"},
     .connections = 16},
    {.name = "NestedGroups",
     .script = {.burst = calls_of("Session/Ping", nested_groups(15'000))},
     .must_come = {"OK", "INVALID_ARGUMENT"},
     .connections = 16},
    {.name = "EmptyCompares",
     .script = {.burst = calls_of("Store/Txn", empty_compares(128))},
     .must_come = {"OK", "INVALID_ARGUMENT"},
     .connections = 16},
    {.name = "ManyEmptyCompares",
     .script = {.burst = calls_of("Store/Txn", empty_compares(30'000))},
     .must_come = {"OK", "INVALID_ARGUMENT"},
     .connections = 16},
};
HOSTCALL_FLOODS(Protobuf, kFloods);

}  // namespace
}  // namespace hostcall::test
