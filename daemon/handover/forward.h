// The names of what daemons hand over, for headers that need no more.
#pragma once

namespace hostcall {
namespace handover {
class Call;
class Connection;
class Endpoint;
class HostCall;
class Program;
class Run;
class Runner;
class ServiceStarts;
class Vm;
class Watch;
}  // namespace handover
namespace daemon {
class Incoming;
class Outgoing;
}  // namespace daemon
}  // namespace hostcall
