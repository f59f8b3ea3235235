// MessageQueue: messages of a call that wait until their receiver takes them, charged to the VM.
#pragma once

#include <deque>
#include <optional>
#include <string>
#include <string_view>

#include "daemon/vms/quota.h"

namespace hostcall::daemon {

class MessageQueue {
 public:
  // `memory` is an empty charge.
  explicit MessageQueue(Charge memory) : memory_(std::move(memory)) {}

  // False: the VM's memory does not suffice for a copy.
  [[nodiscard]] bool push(std::string_view message) {
    if (!memory_.try_grow(message.size() + kOverhead)) return false;
    if (!messages_) messages_.emplace();
    messages_->emplace_back(message);
    return true;
  }
  bool empty() const { return !messages_ || messages_->empty(); }
  const std::string& front() const { return messages_->front(); }
  void pop() {
    memory_.shrink(messages_->front().size() + kOverhead);
    messages_->pop_front();
  }

 private:
  // What a message costs besides its bytes.
  static constexpr std::size_t kOverhead = 64;

  Charge memory_;
  std::optional<std::deque<std::string>> messages_;  // most calls need none, and even an empty one takes memory
};

}  // namespace hostcall::daemon
