// The works: what is done with a client, and what is counted meanwhile.
#pragma once

#include <vector>

#include "tests/bench/harness/client.h"
#include "tests/bench/harness/measure.h"

namespace hostcall::bench {

// Calls side by side, each slot begins its next one when its last has ended, until the time is over.
class Load final : public Ends {
 public:
  explicit Load(const Arguments& arguments);
  void finished(unsigned slot, std::string_view reply) override;
  void run(Client& client, unsigned slots, Result& result);

 private:
  void start(unsigned slot);
  void begin_measuring();
  void report(Result& result, const Moment& end);

  const Arguments& arguments_;
  const std::string payload_;
  Client* client_ = nullptr;
  std::vector<std::uint64_t> ended_;      // calls of each slot since measuring began
  std::vector<Clock::time_point> began_;  // of each slot, for "late" alone
  Latencies latencies_;
  std::uint64_t calls_ = 0;
  std::uint64_t until_late_ = 0;
  unsigned running_ = 0;
  bool measuring_ = false;
  bool stopping_ = false;
  Moment begin_{};
};

// Runs the work that the arguments name, and puts what it found into the result.
void run_work(const Arguments& arguments, Client& client, Load& load, Result& result);

}  // namespace hostcall::bench
