// Arguments: the command line that every client program of the benchmarks has.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>

namespace hostcall::bench {

struct Arguments {
  std::string address;  // "unix:/path"; a "{}" in it is replaced by the number of the connection
  std::string work;
  std::string mode;  // of a system that can be used in several ways
  std::size_t payload = 64;
  unsigned in_flight = 64;
  unsigned connections = 64;
  double seconds = 0.5;
  double warmup = 0.1;
  std::uint64_t calls = 0;  // not 0: measures this many instead of some seconds, without warm-up
  std::size_t chunk = 64 * 1024;
  std::uint64_t bytes = 256 * 1024 * 1024;  // of one stream; whole chunks
  unsigned late_percent = 0;                // of work "late"
  unsigned busy_poll_usec = 0;              // of hostcall
  pid_t server = 0;                         // whose CPU time is counted, if given

  // Exits with a text when the command line is wrong or asks for help.
  static Arguments parse(int argc, char** argv);
  std::string address_of(unsigned connection) const;
  // Of the Unix socket, for the systems that want it alone.
  std::string path_of(unsigned connection) const;
};

}  // namespace hostcall::bench
