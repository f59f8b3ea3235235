// Floods: a hostile VM at full rate, what the daemon must answer, and what nobody else may feel of it. A topic's file
// has a table of floods and instantiates `Floods` with it.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <ostream>
#include <string>
#include <vector>

#include "tests/hostile/attacker.h"
#include "tests/support/daemon_process.h"

namespace hostcall::test {

struct Flood {
  const char* name;
  Script script;
  // Words of which each must come, and those that may come; nothing else may but RESOURCE_EXHAUSTED, because nobody is
  // at full rate below all limits.
  std::vector<std::string> must_come = {};
  std::vector<std::string> may_come = {};
  int connections = 1;
  // Costs no more processor time than the neighbour alone: it is there, and does nothing.
  bool is_idle = false;
  // Before anything is measured.
  std::function<void(DaemonProcess&)> prepare = {};
  DaemonOptions options = {};
};

inline void PrintTo(const Flood& flood, std::ostream* out) { *out << flood.name; }

class Floods : public testing::TestWithParam<Flood> {};

inline std::string name_of(const testing::TestParamInfo<Flood>& flood) { return flood.param.name; }

#define HOSTCALL_FLOODS(topic, table) INSTANTIATE_TEST_SUITE_P(topic, Floods, testing::ValuesIn(table), name_of)

}  // namespace hostcall::test
