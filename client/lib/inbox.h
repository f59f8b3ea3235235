// Inbox: a stream's received messages until their owner takes them. Reuses the buffers of taken messages, because fresh
// pages cost more than the message, and does not copy large messages. Owns no memory before the first message.
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
  bool empty() const { return !messages_ || messages_->empty(); }
  // Credit that the messages cost; about the memory that they take.
  std::size_t cost() const { return messages_ ? messages_->cost : 0; }

  // With `block`, in which the message lies, holds the block instead of copying the message.
  void push(std::string_view bytes, std::shared_ptr<const char[]> block = nullptr) {
    if (!messages_) messages_ = std::make_unique<Messages>();
    messages_->push(bytes, std::move(block));
  }
  // Returns the oldest message, valid until the next take() or release(). The inbox must not be empty.
  std::string_view take() { return messages_->take(); }
  // The taken message is no longer used: recycles its memory.
  void release() {
    if (messages_) messages_->release();
  }
  static std::size_t cost_of(std::size_t size) { return static_cast<std::size_t>(wire::data_cost(size)); }

 private:
  static constexpr std::size_t kMaxSpareBytes = 512 * 1024;

  struct Message {
    Buffer copy;
    std::shared_ptr<const char[]> block;
    std::string_view bytes;
  };

  struct Messages {
    bool empty() const { return head == list.size(); }
    void push(std::string_view bytes, std::shared_ptr<const char[]> block);
    std::string_view take();
    void release();
    Buffer spare();
    void recycle(Buffer& buffer);

    std::vector<Message> list;
    std::size_t head = 0;  // the messages before this one were taken
    std::size_t cost = 0;
    Message taken;  // the user may still read this one
    std::vector<Buffer> spares;
    std::size_t spare_bytes = 0;
  };

  std::unique_ptr<Messages> messages_;  // null until the first message, which most calls never get
};

inline void Inbox::Messages::push(std::string_view bytes, std::shared_ptr<const char[]> block) {
  Message message{.copy = {}, .block = std::move(block), .bytes = bytes};
  if (!message.block) {
    message.copy = spare();
    message.copy.append(bytes);
    message.bytes = message.copy.view();
  }
  list.push_back(std::move(message));
  cost += cost_of(bytes.size());
}

inline std::string_view Inbox::Messages::take() {
  release();
  taken = std::exchange(list[head++], {});
  if (empty()) {
    list.clear();
    head = 0;
  } else if (head > list.size() / 2) {
    list.erase(list.begin(), list.begin() + static_cast<std::ptrdiff_t>(head));
    head = 0;
  }
  cost -= cost_of(taken.bytes.size());
  return taken.bytes;
}

inline void Inbox::Messages::release() {
  recycle(taken.copy);
  taken = {};
}

inline Buffer Inbox::Messages::spare() {
  if (spares.empty()) return {};
  Buffer buffer = std::move(spares.back());
  spares.pop_back();
  spare_bytes -= buffer.capacity();
  return buffer;
}

inline void Inbox::Messages::recycle(Buffer& buffer) {
  if (buffer.capacity() == 0 || spare_bytes + buffer.capacity() > kMaxSpareBytes) return;
  buffer.clear();
  spare_bytes += buffer.capacity();
  spares.push_back(std::move(buffer));
}

}  // namespace hostcall::client
