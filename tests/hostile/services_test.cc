// Programs and sockets of the host that are misused: messages out of order, arguments, floods of opens and starts,
// output that nobody reads and input that never ends.
#include "hostcall/v1/relay.pb.h"
#include "hostcall/v1/run.pb.h"
#include "proto/net/socket.h"
#include "tests/hostile/bursts.h"
#include "tests/hostile/calls.h"
#include "tests/hostile/exchange.h"
#include "tests/hostile/flood.h"

namespace hostcall::test {
namespace {

using As = Exchange::As;

v1::OpenRequest open_request(const std::string& service, const std::string& bytes = {}, bool eof = false) {
  v1::OpenRequest request;
  request.set_service(service);
  request.set_data(bytes);
  request.set_eof(eof);
  return request;
}
v1::StartRequest start_request(const std::string& service, const std::vector<std::string>& arguments = {}) {
  v1::StartRequest request;
  request.set_service(service);
  for (const auto& argument : arguments) request.add_arguments(argument);
  return request;
}
std::string relay(std::uint32_t stream, const v1::OpenRequest& first) {
  return call(stream, "Relay/Open", first, wire::kRemoteOpen);
}
std::string run(std::uint32_t stream, const v1::StartRequest& first) {
  return call(stream, "Run/Start", first, wire::kRemoteOpen);
}
std::string input(std::uint32_t stream, const std::string& bytes) {
  v1::StartRequest request;
  request.set_stdin_data(bytes);
  return data(stream, request.SerializeAsString());
}
std::string bytes_to(std::uint32_t stream, const std::string& bytes) {
  return data(stream, open_request("", bytes).SerializeAsString());
}

// None of these names a service that the host has.
const Exchange kExchanges[] = {
    {"RelayToNothing", As::kBoth, relay(3, open_request("nothing")), "NOT_FOUND"},
    {"RelayToAPath", As::kBoth, relay(3, open_request("/run/hostcall/admin.sock")), "INVALID_ARGUMENT"},
    {"RelayToDots", As::kBoth, relay(3, open_request("..")), "INVALID_ARGUMENT"},
    {"RelayToALongName", As::kBoth, relay(3, open_request(std::string(100'000, 'a'))), "INVALID_ARGUMENT"},
    {"RelayToNoText", As::kBoth, relay(3, open_request("\xff\xfe")), "INVALID_ARGUMENT"},
    {"RelayToANul", As::kBoth, relay(3, open_request(std::string("a\0b", 3))), "INVALID_ARGUMENT"},
    {"RelayWithoutAName", As::kBoth, relay(3, open_request("", "x")), "INVALID_ARGUMENT"},
    {"RelayOfGarbage", As::kBoth, raw_call(3, "Relay/Open", "\xff\xff\xff", wire::kRemoteOpen), "INVALID_ARGUMENT"},
    {"RelayThatEndsAtOnce", As::kBoth,
     raw_call(3, "Relay/Open", {}, wire::kRemoteOpen) + data(3, "", wire::kRemoteClosed | wire::kNoData),
     "INVALID_ARGUMENT"},
    {"RelayAsUnary", As::kBoth, call(3, "Relay/Open", open_request("nothing")), "INVALID_ARGUMENT"},
    {"RunOfNothing", As::kBoth, run(3, start_request("nothing")), "NOT_FOUND"},
    {"RunOfAProgram", As::kBoth, run(3, start_request("/bin/sh", {"-c", "id"})), "INVALID_ARGUMENT"},
    {"RunWithoutAName", As::kBoth, run(3, start_request("")) + input(3, "x"), "INVALID_ARGUMENT"},
    {"RunWithManyArguments", As::kBoth, run(3, start_request("nothing", std::vector<std::string>(1000, "a"))),
     "INVALID_ARGUMENT"},
    {"RunOfGarbage", As::kBoth, raw_call(3, "Run/Start", "\x0a\xff", wire::kRemoteOpen), "INVALID_ARGUMENT"},
};
HOSTCALL_EXCHANGES(Services, kExchanges);

// A socket that nobody reads from, but whose listener lives; programs that say too much, or never end.
DaemonOptions with_services() {
  return {.services_json = R"({"services": [
    {"name": "deaf", "socket": "unix:@DIR@/deaf.sock", "concurrent": 1000, "concurrent_per_vm": 300},
    {"name": "flood", @USER@"run": ["/usr/bin/yes", "a long line that comes again and again"], "start_rate": 100},
    {"name": "sleep", @USER@"run": ["/bin/sleep", "1000"], "start_rate": 100},
    {"name": "brief", @USER@"run": ["/bin/true"], "start_rate": 20},
    {"name": "picky", @USER@"run": ["/bin/echo"], "arguments": ["[a-z]{1,8}", "rest"], "start_rate": 100}
  ]})"};
}
// Its backlog takes 4,096 connections.
void listen_at_deaf(DaemonProcess& daemon) {
  static UniqueFd listener;
  listener = net::listen(net::unix_address(daemon.directory() / "deaf.sock")).value();
}

const Flood kFloods[] = {
    {.name = "RelayOpenAndCancel",
     .script = {.burst = block_of_calls(
                    [](auto stream) { return relay(stream, open_request("deaf", "x")) + cancel(stream); })},
     .must_come = {"OK"},
     .may_come = {"Data"},
     .connections = 16,
     .prepare = listen_at_deaf,
     .options = with_services()},
    {.name = "RelaysThatNobodyReads",
     .script = {.opening = repeated(200,
                                    [](std::size_t i) {
                                      const auto stream = static_cast<std::uint32_t>(2 * i + 3);
                                      return relay(stream, open_request("deaf")) + repeated(5, [&](std::size_t) {
                                               return bytes_to(stream, std::string(3000, 'x'));
                                             });
                                    })},
     .must_come = {"OK", "Data"},
     .may_come = {"Window"},
     .prepare = listen_at_deaf,
     .options = with_services()},
    {.name = "RelaysThatDoNotSayWhereTo",
     .script = {.opening = repeated(250,
                                    [](std::size_t i) {
                                      return raw_call(static_cast<std::uint32_t>(2 * i + 3), "Relay/Open", {},
                                                      wire::kRemoteOpen);
                                    })},
     .must_come = {"OK"},
     .may_come = {"DEADLINE_EXCEEDED"},
     .options = with_services()},
    {.name = "RunStartAndCancel",
     .script = {.burst =
                    block_of_calls([](auto stream) { return run(stream, start_request("sleep")) + cancel(stream); })},
     .must_come = {"OK"},
     .connections = 4,
     .options = with_services()},
    {.name = "RunsThatFloodAndAreNotRead",
     .script = {.opening = repeated(
                    8,
                    [](std::size_t i) { return run(static_cast<std::uint32_t>(2 * i + 3), start_request("flood")); }),
                .reads = false},
     .options = with_services()},
    {.name = "RunsWithBadArguments",
     .script = {.burst = block_of_calls([](auto stream) {
                  return run(stream, start_request("picky", {"ok", stream % 4 == 1 ? std::string("-o")
                                                                                   : std::string(3000, 'a')}));
                })},
     .must_come = {"INVALID_ARGUMENT", "OK"},
     .connections = 4,
     .options = with_services()},
    {.name = "RunsWithInputThatNobodyReads",
     .script = {.opening = repeated(4,
                                    [](std::size_t i) {
                                      const auto stream = static_cast<std::uint32_t>(2 * i + 3);
                                      return run(stream, start_request("sleep")) + repeated(25, [&](std::size_t) {
                                               return input(stream, std::string(8000, 'x'));
                                             });
                                    })},
     .must_come = {"OK", "Data"},
     .may_come = {"Window"},
     .options = with_services()},
};
HOSTCALL_FLOODS(Services, kFloods);

}  // namespace
}  // namespace hostcall::test
