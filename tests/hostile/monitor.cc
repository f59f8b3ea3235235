#include "tests/hostile/monitor.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <stdexcept>

#include "hostcall/v1/admin.pb.h"

namespace hostcall::test {
namespace {

constexpr std::chrono::milliseconds kSamplePause(10);

void add(Charges& charges, const v1::Limit& limit) {
  const auto used = limit.limit() - std::min(limit.limit(), limit.left());
  if (limit.name() == "connections") charges.connections = used;
  if (limit.name() == "streams") charges.streams = used;
  if (limit.name() == "store_watches") charges.watches = used;
  if (limit.name() == "memory_bytes" || limit.name() == "outbound_bytes") charges.bytes += used;
  if (limit.name() == "store_bytes") charges.stored += used;
}

}  // namespace

Monitor::Monitor(DaemonProcess& daemon, std::string vm)
    : daemon_(daemon), vm_(std::move(vm)), admin_(daemon.admin_address()) {
  charges();  // a connection without a first call is closed
}

Charges Monitor::charges() {
  const std::lock_guard lock(mutex_);
  v1::VmShowRequest request;
  request.set_name(vm_);
  const auto answer = admin_.call("hostcall.v1.Admin/VmShow", request);
  v1::VmShowResponse response;
  if (!answer.arrived || !answer.status.ok() || !response.ParseFromString(answer.payload))
    throw std::runtime_error("Admin/VmShow: " + answer.status.message);
  Charges charges;
  for (const auto& limit : response.limits()) add(charges, limit);
  charges.stored += response.vm().store_history_bytes();
  return charges;
}

void Monitor::start() {
  stopping_ = false;
  peak_charge_ = 0;
  daemon_.process().forget_peak_rss();
  thread_ = std::thread([this] {
    auto next = std::chrono::steady_clock::now();
    daemon_.process().wait_until([&] {
      if (std::chrono::steady_clock::now() < next) return stopping_.load();
      sample();
      next = std::chrono::steady_clock::now() + kSamplePause;
      return stopping_.load();
    });
  });
}

void Monitor::sample() {
  try {
    const auto now = charges();
    peak_charge_ = std::max(peak_charge_.load(), now.bytes + now.stored);
  } catch (const std::exception& error) {
    ADD_FAILURE() << error.what();
    stopping_ = true;
  }
}

void Monitor::stop() {
  stopping_ = true;
  if (thread_.joinable()) thread_.join();
}

}  // namespace hostcall::test
