// MessagePieces: a serialised message in pieces of memory, for hostcall_stream_sendv(). Large bytes fields stay in the
// message; everything around them is serialised here. An output stream that accepts aliases, by protobuf's public
// interface. Part of stream.h; include client.h instead.
#pragma once

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream.h>
#include <google/protobuf/message_lite.h>
#include <hostcall/hostcall.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>

namespace hostcall {
inline namespace abi0 {
namespace detail {

class MessagePieces final : private google::protobuf::io::ZeroCopyOutputStream {
 public:
  // Whether to send a message of this size in pieces: copying a smaller one costs less. The library refuses a larger
  // one by its size, which the pieces might not have: protobuf serialises no message above 2 GiB.
  static constexpr bool suit(std::size_t size) { return size >= 16 * 1024 && size <= 4 * 1024 * 1024; }

  // `size`: message.ByteSizeLong().
  MessagePieces(const google::protobuf::MessageLite& message, std::size_t size) : size_(size) {
    google::protobuf::io::CodedOutputStream out(static_cast<ZeroCopyOutputStream*>(this));
    out.EnableAliasing(true);
    message.SerializePartialToCodedStream(&out);
  }
  MessagePieces(const MessagePieces&) = delete;
  MessagePieces& operator=(const MessagePieces&) = delete;

  // In order, `size` bytes in total. Valid while this object lives and the message does not change.
  std::span<const iovec> view() const { return std::span(pieces_).first(count_); }

 private:
  static constexpr std::size_t kFirstBytes = 256;
  static constexpr std::size_t kMaxPieces = HOSTCALL_MAX_PIECES;
  // A field in place takes a piece, and so do the bytes in front of it; two more are reserved for the bytes behind it.
  static constexpr std::size_t kLastInPlace = kMaxPieces - 4;

  bool Next(void** data, int* size) override {
    if (at_ == end_) begin_rest();
    *data = at_;
    *size = static_cast<int>(end_ - at_);
    add(at_, static_cast<std::size_t>(end_ - at_));
    at_ = end_;
    return true;
  }
  void BackUp(int count) override {
    at_ -= count;
    done_ -= static_cast<std::size_t>(count);
    auto& last = pieces_[count_ - 1];
    last.iov_len -= static_cast<std::size_t>(count);
    if (last.iov_len == 0) --count_;
  }
  std::int64_t ByteCount() const override { return static_cast<std::int64_t>(done_); }
  bool AllowsAliasing() const override { return true; }
  bool WriteAliasedRaw(const void* data, int size) override {
    const auto bytes = static_cast<std::size_t>(size);
    if (count_ <= kLastInPlace)
      add(static_cast<const char*>(data), bytes);
    else
      copy(static_cast<const char*>(data), bytes);
    return true;
  }

  // Allocates room for all remaining bytes.
  void begin_rest() {
    const std::size_t room = size_ > done_ ? size_ - done_ : 1;
    rest_ = std::make_unique_for_overwrite<char[]>(room);
    at_ = rest_.get();
    end_ = at_ + room;
  }
  void add(const char* data, std::size_t bytes) {
    done_ += bytes;
    if (count_ != 0) {
      auto& last = pieces_[count_ - 1];
      if (static_cast<const char*>(last.iov_base) + last.iov_len == data) {
        last.iov_len += bytes;
        return;
      }
    }
    // iovec has no const; nobody writes there.
    pieces_[count_++] = {const_cast<char*>(data), bytes};
  }
  void copy(const char* data, std::size_t bytes) {
    while (bytes != 0) {
      void* room = nullptr;
      int size = 0;
      Next(&room, &size);
      const auto taken = std::min(bytes, static_cast<std::size_t>(size));
      std::memcpy(room, data, taken);
      if (const auto left = static_cast<std::size_t>(size) - taken; left != 0) BackUp(static_cast<int>(left));
      data += taken;
      bytes -= taken;
    }
  }

  std::size_t size_;
  std::size_t done_ = 0;  // bytes in the pieces so far
  std::array<iovec, kMaxPieces> pieces_;
  std::size_t count_ = 0;
  char first_[kFirstBytes];
  std::unique_ptr<char[]> rest_;
  char* at_ = first_;  // where the next byte is written
  char* end_ = first_ + kFirstBytes;
};

}  // namespace detail
}  // namespace abi0
}  // namespace hostcall
