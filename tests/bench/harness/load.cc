#include <algorithm>

#include "tests/bench/harness/works.h"

namespace hostcall::bench {

Load::Load(const Arguments& arguments)
    : arguments_(arguments),
      payload_(pattern(arguments.payload)),
      latencies_(arguments.work == "late" ? arguments.seconds : 0) {}

void Load::finished(unsigned slot, std::string_view reply) {
  check_reply(reply, payload_);
  ++ended_[slot];
  ++calls_;
  --running_;
  if (!began_.empty() && measuring_) latencies_.record(Clock::now() - began_[slot]);
  if (arguments_.calls != 0 && measuring_ && calls_ + running_ >= arguments_.calls) return;
  if (!stopping_) start(slot);
}

void Load::start(unsigned slot) {
  if (!began_.empty()) began_[slot] = Clock::now();
  ++running_;
  if (arguments_.late_percent != 0 && ++until_late_ * arguments_.late_percent >= 100) {
    until_late_ = 0;
    client_->start_late();  // beside the slots, so that as many others are in flight as without
  }
  client_->start(slot);
}

void Load::run(Client& client, unsigned slots, Result& result) {
  client_ = &client;
  ended_.assign(slots, 0);
  if (arguments_.work == "late") began_.assign(slots, {});
  if (arguments_.calls != 0) begin_measuring();
  const auto first = Clock::now();
  for (unsigned slot = 0; slot < slots; ++slot) start(slot);
  const auto warm = first + std::chrono::duration<double>(arguments_.warmup);
  while (!measuring_ && Clock::now() < warm) client.wait();
  if (!measuring_) begin_measuring();
  const auto over = begin_.time + std::chrono::duration<double>(arguments_.seconds);
  const auto ended = [&] { return arguments_.calls != 0 ? running_ == 0 : Clock::now() >= over; };
  while (!ended()) client.wait();
  report(result, Moment::now(arguments_.server));
  stopping_ = true;
  while (running_ != 0) client.wait();
}

void Load::begin_measuring() {
  measuring_ = true;
  calls_ = 0;
  std::ranges::fill(ended_, 0);
  begin_ = Moment::now(arguments_.server);
}

void Load::report(Result& result, const Moment& end) {
  result.add_calls(calls_, begin_, end);
  const double mean = static_cast<double>(calls_) / static_cast<double>(ended_.size());
  result.add("slowest_share", static_cast<double>(*std::ranges::min_element(ended_)) / mean);
  if (began_.empty()) return;
  result.add("p50_us", latencies_.percentile_us(50));
  result.add("p99_us", latencies_.percentile_us(99));
}

}  // namespace hostcall::bench
