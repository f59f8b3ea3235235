// Inbox: received messages of a stream until its owner takes them. Memory goes round: a taken message's buffer
// holds a later one, because memory fresh from the kernel costs more than the message; a large one is not even copied.
// Empty, it owns nothing but that.
#pragma once

#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include "proto/base/buffer.h"
#include "proto/wire/window.h"

namespace hostcall::client {

class Inbox {
 public:
  bool empty() const { return head_ == messages_.size(); }
  // What the messages cost in credit, and about what they cost in memory.
  std::size_t cost() const { return cost_; }

  // With a block, which the message lies in, it is not copied, and the block held.
  void push(std::string_view bytes, std::shared_ptr<const char[]> block = nullptr) {
    Message message{.copy = {}, .block = std::move(block), .bytes = bytes};
    if (!message.block) {
      message.copy = spare();
      message.copy.append(bytes);
      message.bytes = message.copy.view();
    }
    messages_.push_back(std::move(message));
    cost_ += cost_of(bytes.size());
  }
  // The oldest message, valid until the next take() or release(). Needs a message.
  std::string_view take() {
    release();
    taken_ = std::exchange(messages_[head_++], {});
    if (empty()) {
      messages_.clear();
      head_ = 0;
    } else if (head_ > messages_.size() / 2) {
      messages_.erase(messages_.begin(), messages_.begin() + static_cast<std::ptrdiff_t>(head_));
      head_ = 0;
    }
    cost_ -= cost_of(taken_.bytes.size());
    return taken_.bytes;
  }
  // Nobody looks at the taken message any more: its memory can take what comes next.
  void release() {
    recycle(taken_.copy);
    taken_ = {};
  }
  static std::size_t cost_of(std::size_t size) { return static_cast<std::size_t>(wire::data_cost(size)); }

 private:
  static constexpr std::size_t kMaxSpareBytes = 512 * 1024;

  struct Message {
    Buffer copy;
    std::shared_ptr<const char[]> block;
    std::string_view bytes;
  };

  Buffer spare() {
    if (spares_.empty()) return {};
    Buffer buffer = std::move(spares_.back());
    spares_.pop_back();
    spare_bytes_ -= buffer.capacity();
    return buffer;
  }
  void recycle(Buffer& buffer) {
    if (buffer.capacity() == 0 || spare_bytes_ + buffer.capacity() > kMaxSpareBytes) return;
    buffer.clear();
    spare_bytes_ += buffer.capacity();
    spares_.push_back(std::move(buffer));
  }

  std::vector<Message> messages_;
  std::size_t head_ = 0;  // messages before it were taken
  std::size_t cost_ = 0;
  Message taken_;  // the user looks at this one
  std::vector<Buffer> spares_;
  std::size_t spare_bytes_ = 0;
};

}  // namespace hostcall::client
