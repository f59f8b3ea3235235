// Frames that no honest peer sends, alone and as fast as they can be sent.
#include <memory>
#include <random>

#include "tests/hostile/bursts.h"
#include "tests/hostile/calls.h"
#include "tests/hostile/exchange.h"
#include "tests/hostile/flood.h"
#include "tests/support/seed.h"

namespace hostcall::test {
namespace {

using wire::FrameType;
using As = Exchange::As;

std::string untyped(int type, std::uint32_t stream = 3) { return frame(static_cast<FrameType>(type), stream, 0, ""); }

const Exchange kExchanges[] = {
    {"Http2Preface", As::kBase, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "violation", "HTTP"},
    {"HttpGet", As::kBase, "GET / HTTP/1.1\r\n\r\n", "violation", "HTTP"},
    {"Tls", As::kBase, std::string("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03", 10), "violation", "TLS"},
    {"Ssh", As::kBase, "SSH-2.0-OpenSSH_9.2\r\n", "violation", "SSH"},
    {"FirstByteNotZero", As::kBase, header(0xffffffff, 1, FrameType::kRequest), "violation", "an unknown protocol"},
    {"FourGibibytes", As::kExtended, header(0xffffffff, 3, FrameType::kRequest), "RESOURCE_EXHAUSTED violation",
     "4294967295"},
    {"JustTooLong", As::kBoth, header(wire::kMaxDataBytes + 1, 3, FrameType::kData), "violation", "4194305"},
    {"UnknownType", As::kBoth, untyped(0x7f), "violation", "type 127"},
    {"TypeZero", As::kBoth, untyped(0), "violation", "type 0"},
    {"ReservedType", As::kBoth, untyped(0x15), "violation", "type 21"},
    {"ResponseToAServer", As::kBoth, frame(FrameType::kResponse, 3, 0, ""), "violation", "response to a server"},
    {"EvenStream", As::kBoth, raw_call(4, "Session/Ping"), "violation", "even stream ids"},
    {"StreamZero", As::kBoth, raw_call(0, "Session/Ping"), "violation", "even stream ids"},
    {"BothStreamFlags", As::kBoth, raw_call(3, "Session/Ping", {}, 3), "violation", "request flags"},
    {"UnknownRequestFlags", As::kBoth, raw_call(3, "Session/Ping", {}, 8), "violation", "request flags"},
    {"NotARequest", As::kBoth, frame(FrameType::kRequest, 3, 0, "\xff\xff\xff\xff"), "violation",
     "not a Request message"},
    {"DataOnNothing", As::kBoth, data(77, "x"), "violation", "never opened"},
    {"PingOnAStream", As::kExtended, frame(FrameType::kPing, 5, 0, "12345678"), "violation", "ing"},
    {"ShortPing", As::kExtended, frame(FrameType::kPing, 0, 0, "1234567"), "violation"},
    {"LongPing", As::kExtended, frame(FrameType::kPing, 0, 0, "123456789"), "violation"},
    {"PongNobodyAskedFor", As::kExtended, frame(FrameType::kPong, 0, 0, "12345678"), ""},
    {"WindowOfZero", As::kExtended, window(0, 0), "violation"},
    {"WindowOverflow", As::kExtended, window(0, 0x7fffffff), "violation", "credit above"},
    {"WindowOverflowOfAStream", As::kExtended, call(3, "Diagnostics/Echo", echo(1, 60'000)) + window(3, 0x7fffffff),
     "UNAVAILABLE violation", "credit above"},
    {"WindowOfNothing", As::kExtended, window(99, 1), "violation"},
    {"ShortWindow", As::kExtended, frame(FrameType::kWindow, 0, 0, "123"), "violation"},
    {"CancelOfNothing", As::kExtended, cancel(99), "violation"},
    {"CancelOfTheConnection", As::kExtended, cancel(0), "violation"},
    {"LongCancel", As::kExtended, raw_call(3, "Session/Ping") + frame(FrameType::kCancel, 3, 0, "12345"),
     "OK violation"},
    {"ShortGoaway", As::kExtended, frame(FrameType::kGoaway, 0, 0, "x"), "violation"},
    {"LongGoaway", As::kExtended, frame(FrameType::kGoaway, 0, 0, std::string(12 + 257, 'x')), "violation"},
    {"PingFromABasePeer", As::kBase, ping(), "violation", "not agreed"},
    {"CancelFromABasePeer", As::kBase, raw_call(1, "Session/Ping") + cancel(1), "OK violation", "not agreed"},
    {"WindowFromABasePeer", As::kBase, window(0, 1), "violation", "not agreed"},
    {"CorruptChecksum", As::kChecked, raw_call(3, "Session/Ping") + std::string(4, '\0'), "violation", "CRC32C"},
    {"NoChecksum", As::kChecked, raw_call(3, "Session/Ping") + raw_call(5, "Session/Ping"), "violation", "CRC32C"},
    {"ChecksumOfAnotherFrame", As::kChecked,
     raw_call(3, "Session/Ping") + checked(raw_call(5, "Session/Ping")).substr(raw_call(5, "Session/Ping").size()),
     "violation", "CRC32C"},
    {"ChecksumOfAnOversizedFrame", As::kChecked, frame(FrameType::kData, 3, 0, std::string(300'000, 'x')) + "1234",
     "violation", "CRC32C"},
    {"RightChecksum", As::kChecked, checked(raw_call(3, "Session/Ping")), "OK"},
    {"UnaskedChecksum", As::kExtended, checked(raw_call(3, "Session/Ping")) + raw_call(5, "Session/Ping"),
     "OK violation"},
};
HOSTCALL_EXCHANGES(Frames, kExchanges);

std::string random_bytes(std::mt19937& random) {
  std::string bytes(1 + random() % 300, '\0');
  for (auto& byte : bytes) byte = static_cast<char>(random());
  // Half of them look like frames with a plausible header.
  if (random() % 2 == 0) return bytes;
  return frame(static_cast<FrameType>(1 + random() % 20), random() % 8, random() % 8, bytes);
}

Burst noise() {
  return [random = std::make_shared<std::mt19937>(seed(42))](std::uint32_t&) { return random_bytes(*random); };
}

const Flood kFloods[] = {
    {.name = "Pings", .script = {.burst = block_of(ping())}, .must_come = {"OK", "Pong"}},
    {.name = "PingsOfManyConnections",
     .script = {.burst = block_of(ping())},
     .must_come = {"OK", "Pong"},
     .connections = 16},
    {.name = "PingsNeverRead", .script = {.burst = block_of(ping()), .reads = false}, .connections = 16},
    {.name = "Windows", .script = {.burst = block_of(window(0, 1))}, .must_come = {"OK"}, .connections = 16},
    {.name = "CancelsOfAnEndedCall",
     .script = {.opening = raw_call(3, "Session/Ping"), .burst = block_of(cancel(3))},
     .must_come = {"OK"},
     .connections = 16},
    {.name = "EmptyFrames",
     .script = {.opening = raw_call(3, "Diagnostics/Sink", {}, wire::kRemoteOpen), .burst = block_of(data(3, ""))},
     .must_come = {"OK", "Window"},
     .may_come = {"UNAVAILABLE", "Goaway1", "closed"},
     .connections = 16},
    {.name = "DataOfAnEndedCall",
     .script = {.opening = raw_call(3, "Diagnostics/Sink", {}, wire::kRemoteOpen) + cancel(3),
                .burst = block_of(data(3, "x"))},
     .must_come = {"OK", "Window"},
     .may_come = {"Goaway1", "closed"},
     .connections = 16},
    {.name = "HalfHeaders",
     .script = {.opening = std::string(5, '\0')},
     .must_come = {"OK"},
     .connections = 16,
     .is_idle = true},
    {.name = "HalfFrames",
     .script = {.opening = header(256 * 1024, 3, FrameType::kRequest) + std::string(255 * 1024, 'x')},
     .must_come = {"OK"},
     .connections = 16},
    {.name = "Violations",
     .script = {.opening = untyped(0x7f)},
     .must_come = {"OK", "Goaway1", "closed"},
     .connections = 16},
    {.name = "Noise",
     .script = {.says_hello = false, .burst = noise()},
     .must_come = {"closed"},
     .may_come = {"UNAVAILABLE", "UNIMPLEMENTED"},
     .connections = 16},
};
HOSTCALL_FLOODS(Frames, kFloods);

}  // namespace
}  // namespace hostcall::test
