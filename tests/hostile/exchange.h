// Exchanges: bytes of a hostile peer and what comes back, word by word, from a daemon that serves others meanwhile. A
// topic's file has a table of exchanges and instantiates `Exchanges` with it.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <ostream>
#include <string>

#include "tests/hostile/monitor.h"
#include "tests/support/daemon_process.h"

namespace hostcall::test {

struct Exchange {
  // How the peer begins.
  enum class As {
    kBase,      // as a plain ttrpc client
    kExtended,  // with Hello, and all features but checksums
    kChecked,   // with checksums, too
    kBoth       // once as kBase and once as kExtended; calls begin at stream 3
  };

  const char* name;
  As as;
  std::string bytes;
  // The words of all frames that come back, as word_of() has them, sorted, with a blank between; kViolation: the
  // connection ends with Goaway 1 where that is agreed. Only if the connection stays open, a Ping is answered behind.
  std::string reply;
  std::string journal = {};  // what the operator reads
};

// Behind other words or alone: the connection ends, with Goaway 1 where that is agreed.
inline constexpr char kViolation[] = "violation";

// So many times the same word.
std::string times(std::size_t count, const std::string& word);

inline void PrintTo(const Exchange& exchange, std::ostream* out) { *out << exchange.name; }

// All exchanges of a topic have one daemon.
class Exchanges : public testing::TestWithParam<Exchange> {
 protected:
  static void SetUpTestSuite();
  static void TearDownTestSuite();
  void exchange(Exchange::As as);

  static std::unique_ptr<DaemonProcess> daemon_;
  static std::unique_ptr<Monitor> monitor_;
  static std::unique_ptr<WireClient> neighbour_;
};

inline std::string name_of_exchange(const testing::TestParamInfo<Exchange>& exchange) { return exchange.param.name; }

#define HOSTCALL_EXCHANGES(topic, table) \
  INSTANTIATE_TEST_SUITE_P(topic, Exchanges, testing::ValuesIn(table), name_of_exchange)

}  // namespace hostcall::test
