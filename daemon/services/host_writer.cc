#include "daemon/services/host_writer.h"

#include <algorithm>
#include <cerrno>
#include <utility>

#include "handover/state.pb.h"

namespace hostcall::daemon {
namespace {

// What a kept message costs besides its bytes.
constexpr std::size_t kKeptOverhead = 64;
// About what one turn writes; the rest waits for the next one.
constexpr std::size_t kMaxWrite = 256 * 1024;

}  // namespace

HostWriter::Outcome HostWriter::write_some(std::string_view bytes, std::size_t& taken) {
  taken = 0;
  while (taken < std::min(bytes.size(), kMaxWrite)) {
    const auto written = fd_.write(bytes.substr(taken));
    if (written < 0 && errno == EINTR) continue;
    if (written < 0 && errno == EAGAIN) break;
    if (written < 0) return Outcome::kBroken;
    taken += static_cast<std::size_t>(written);
    written_ += static_cast<std::uint64_t>(written);
  }
  return Outcome::kTaken;
}

HostWriter::Outcome HostWriter::take(std::string_view bytes, std::size_t message_bytes, Call& call, bool held) {
  std::size_t taken = 0;
  if (given_up_) {
    call.consumed(message_bytes);
    return Outcome::kTaken;
  }
  if (!held && waiting_.empty())
    if (const auto outcome = write_some(bytes, taken); outcome != Outcome::kTaken) return outcome;
  if (taken == bytes.size() && waiting_.empty()) {
    call.consumed(message_bytes);
    return Outcome::kTaken;
  }
  if (!memory_.try_grow(bytes.size() - taken + kKeptOverhead)) return Outcome::kNoMemory;
  waiting_.push_back({std::string(bytes.substr(taken)), message_bytes});
  call.kept(message_bytes);
  return Outcome::kTaken;
}

HostWriter::Outcome HostWriter::flush(Call& call) {
  const auto until = written_ + kMaxWrite;
  while (!waiting_.empty() && written_ < until) {
    const auto& front = waiting_.front();
    std::size_t taken = 0;
    const auto outcome = write_some(std::string_view(front.bytes).substr(front_taken_), taken);
    if (outcome != Outcome::kTaken) return outcome;
    front_taken_ += taken;
    if (front_taken_ < front.bytes.size()) return Outcome::kTaken;
    memory_.shrink(front.bytes.size() + kKeptOverhead);
    const auto message_bytes = front.message_bytes;
    waiting_.pop_front();
    front_taken_ = 0;
    call.consumed(message_bytes);
  }
  return Outcome::kTaken;
}

void HostWriter::hand_over(handover::HostCall& out) const {
  out.set_given_up(given_up_);
  auto taken = front_taken_;
  for (const auto& message : waiting_) {
    auto& told = *out.add_to_host();
    told.set_bytes(message.bytes.substr(std::exchange(taken, 0)));
    told.set_message_bytes(message.message_bytes);
  }
}

bool HostWriter::resume(const handover::HostCall& in) {
  given_up_ = in.given_up();
  for (const auto& message : in.to_host()) {
    if (!memory_.try_grow(message.bytes().size() + kKeptOverhead)) return false;
    waiting_.push_back({message.bytes(), message.message_bytes()});
  }
  return true;
}

void HostWriter::give_up(Call& call) {
  given_up_ = true;
  for (const auto& dropped : std::exchange(waiting_, {})) call.consumed(dropped.message_bytes);
  memory_.reset();
}

}  // namespace hostcall::daemon
