// Streams of calls that are misused: numbers, shapes, windows, cancels, deadlines, replies that nobody reads.
#include <limits>

#include "tests/hostile/bursts.h"
#include "tests/hostile/calls.h"
#include "tests/hostile/exchange.h"
#include "tests/hostile/flood.h"

namespace hostcall::test {
namespace {

using wire::FrameType;
using As = Exchange::As;

constexpr std::uint32_t kLast = 0xffffffff;
constexpr std::int64_t kMaxTimeout = std::numeric_limits<std::int64_t>::max();
constexpr std::int64_t kMinTimeout = std::numeric_limits<std::int64_t>::min();
constexpr std::uint32_t kLongMs = 60'000;

std::string waiting_call(std::uint32_t stream) { return call(stream, "Diagnostics/Echo", echo(1, kLongMs)); }
std::string sink(std::uint32_t stream) { return raw_call(stream, "Diagnostics/Sink", {}, wire::kRemoteOpen); }
std::string echo_stream(std::uint32_t stream) {
  return raw_call(stream, "Diagnostics/EchoStream", {}, wire::kRemoteOpen);
}
std::string source(std::uint32_t stream, std::uint32_t chunk_bytes = 1000) {
  return call(stream, "Diagnostics/Source", endless_source(chunk_bytes), wire::kRemoteClosed);
}
std::string timed_call(std::int64_t timeout_nano) { return call(3, "Diagnostics/Echo", echo(1), 0, timeout_nano); }
// A call that is cancelled by the same write that begins it.
std::string given_up(const std::string& call, std::uint32_t stream) { return call + cancel(stream); }

const Exchange kExchanges[] = {
    {"ReusedNumber", As::kBoth, waiting_call(3) + waiting_call(3), "UNAVAILABLE violation", "must increase"},
    {"NumberOfAnEndedCall", As::kBoth, raw_call(3, "Session/Ping") + raw_call(3, "Session/Ping"), "OK violation",
     "must increase"},
    {"SmallerNumber", As::kExtended, raw_call(5, "Session/Ping") + raw_call(3, "Session/Ping"), "OK violation",
     "must increase"},
    {"PassedOverNumber", As::kBase, raw_call(5, "Session/Ping") + raw_call(3, "Session/Ping"), "OK OK"},
    {"NumberPassedOverTooLongAgo", As::kBase, raw_call(1001, "Session/Ping") + raw_call(3, "Session/Ping"),
     "OK violation"},
    // After the last number comes no other: 4294967295 + 2 is 1.
    {"NumbersDoNotComeRound", As::kBoth, waiting_call(3) + waiting_call(kLast) + waiting_call(1),
     "UNAVAILABLE UNAVAILABLE violation", "must increase"},
    {"NoNumberAfterTheLast", As::kBoth, raw_call(kLast, "Session/Ping") + raw_call(1, "Session/Ping"), "OK violation",
     "must increase"},
    {"ManyPassedOver", As::kBase, raw_call(kLast - 2, "Session/Ping"), "OK"},
    {"UnknownDataFlags", As::kBoth, sink(3) + frame(FrameType::kData, 3, 0x80, ""), "UNAVAILABLE violation",
     "data flags"},
    {"NoDataWithSome", As::kBoth, sink(3) + data(3, "x", wire::kNoData), "UNAVAILABLE violation"},
    {"DataOnAUnaryCall", As::kBoth, waiting_call(3) + data(3, "x"), "UNAVAILABLE violation"},
    {"DataBehindTheEnd", As::kBoth, echo_stream(3) + data(3, "", wire::kRemoteClosed | wire::kNoData) + data(3, "x"),
     "End"},
    {"DataOnACancelledCall", As::kExtended, given_up(sink(3), 3) + data(3, "x") + data(3, "x", wire::kRemoteClosed),
     ""},
    {"CancelTwice", As::kExtended, given_up(waiting_call(3), 3) + cancel(3), ""},
    {"WindowOnACancelledCall", As::kExtended, given_up(waiting_call(3), 3) + window(3, 1), ""},
    {"UnaryAsStream", As::kBoth, raw_call(3, "Session/Ping", {}, wire::kRemoteOpen), "INVALID_ARGUMENT"},
    {"StreamAsUnary", As::kBoth, raw_call(3, "Diagnostics/Sink"), "INVALID_ARGUMENT"},
    {"NoTimeout", As::kBoth, timed_call(0), "OK"},
    {"NegativeTimeout", As::kBoth, timed_call(-1), "DEADLINE_EXCEEDED"},
    {"SmallestTimeout", As::kBoth, timed_call(kMinTimeout), "DEADLINE_EXCEEDED"},
    {"LargestTimeout", As::kBoth, timed_call(kMaxTimeout), "OK"},
    {"ShortestTimeout", As::kBoth, call(3, "Diagnostics/Echo", echo(1, kLongMs), 0, 1), "DEADLINE_EXCEEDED"},
    // Twice as many as may be open at once: each that is cancelled leaves its place to the next.
    {"ManyOpenedAndCancelled", As::kExtended,
     repeated(512,
              [](std::size_t i) {
                const auto stream = static_cast<std::uint32_t>(2 * i + 3);
                return given_up(waiting_call(stream), stream);
              }),
     ""},
    {"MoreDataThanCredit", As::kExtended,
     echo_stream(3) + repeated(40, [](std::size_t) { return data(3, echo(100'000).SerializeAsString()); }),
     times(4, "Data") + "UNAVAILABLE violation", "window"},
    {"MessageOverTheLimit", As::kBoth, call(3, "Diagnostics/Echo", echo(1'000'000)) + raw_call(5, "Session/Ping"),
     "OK RESOURCE_EXHAUSTED", "message_bytes"},
    {"DataOverTheLimit", As::kBoth, sink(3) + data(3, std::string(500'000, 'x')), "RESOURCE_EXHAUSTED"},
};
HOSTCALL_EXCHANGES(Streams, kExchanges);

const Flood kFloods[] = {
    {.name = "OpenAndCancel",
     .script = {.burst = block_of_calls([](auto stream) { return given_up(waiting_call(stream), stream); })},
     .must_come = {"OK"},
     .connections = 16},
    {.name = "SourceAndCancelWithoutCredit",
     .script = {.burst = block_of_calls([](auto stream) { return given_up(source(stream), stream); })},
     .must_come = {"OK", "Data"},
     .connections = 16},
    {.name = "SourcesThatGetNoCredit",
     .script = {.opening = repeated(254, [](std::size_t i) { return source(static_cast<std::uint32_t>(2 * i + 3)); })},
     .must_come = {"OK", "Data"}},
    {.name = "SourcesNeverRead",
     .script = {.says_hello = false,
                .opening =
                    repeated(254, [](std::size_t i) { return source(static_cast<std::uint32_t>(2 * i + 3), 60'000); }),
                .reads = false}},
    {.name = "EchoStreamsNeverRead",
     .script = {.opening = repeated(254,
                                    [](std::size_t i) {
                                      const auto stream = static_cast<std::uint32_t>(2 * i + 3);
                                      return echo_stream(stream) + data(stream, echo(4000).SerializeAsString());
                                    }),
                .reads = false}},
    {.name = "LargeEchoes",
     .script = {.burst = block_of_calls([](auto stream) { return call(stream, "Diagnostics/Echo", echo(200'000)); })},
     .must_come = {"OK"},
     .connections = 16},
    {.name = "LargeEchoesNeverRead",
     .script = {.burst = block_of_calls([](auto stream) { return call(stream, "Diagnostics/Echo", echo(200'000)); }),
                .reads = false},
     .connections = 16},
    {
        .name = "EchoesThatWait",
        .script = {.opening = repeated(256,
                                       [](std::size_t i) {
                                         return call(static_cast<std::uint32_t>(2 * i + 3), "Diagnostics/Echo",
                                                     echo(60'000, kLongMs));
                                       })},
        .must_come = {"OK"},
    },
    {.name = "ManyCallsEndAtOnce",
     .script = {.burst =
                    [](std::uint32_t& stream) {
                      return repeated(300, [&](std::size_t) {
                        stream += 2;
                        return call(stream, "Diagnostics/Echo", echo(1, 20));
                      });
                    },
                .pause = std::chrono::milliseconds(40)},
     .must_come = {"OK", "RESOURCE_EXHAUSTED"}},
    {.name = "SmallestCalls",
     .script = {.burst = block_of_calls([](auto stream) { return raw_call(stream, "Session/Ping"); })},
     .must_come = {"OK"},
     .connections = 16},
    {.name = "CallsWithTheShortestDeadline",
     .script = {.burst = block_of_calls(
                    [](auto stream) { return call(stream, "Diagnostics/Echo", echo(1, kLongMs), 0, 1); })},
     .must_come = {"DEADLINE_EXCEEDED"},
     .may_come = {"OK"},
     .connections = 16},
};
HOSTCALL_FLOODS(Streams, kFloods);

}  // namespace
}  // namespace hostcall::test
