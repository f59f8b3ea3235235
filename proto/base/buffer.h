// Buffer: a growable run of bytes that is never zeroed before it is written, and that
// gives its memory back when told so. std::string would clear every byte first.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <memory>
#include <string_view>
#include <utility>

namespace hostcall {

class Buffer {
 public:
  Buffer() = default;
  Buffer(Buffer&& other) noexcept { swap(other); }
  Buffer& operator=(Buffer&& other) noexcept {
    swap(other);
    return *this;
  }

  std::size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  std::size_t capacity() const { return capacity_; }
  const char* data() const { return data_.get(); }
  char* data() { return data_.get(); }
  std::string_view view() const { return {data_.get(), size_}; }

  // Makes room for `bytes` in all; never shrinks.
  void reserve(std::size_t bytes) {
    if (bytes <= capacity_) return;
    auto grown = std::make_unique_for_overwrite<char[]>(bytes);
    if (size_ != 0) std::memcpy(grown.get(), data_.get(), size_);
    data_ = std::move(grown);
    capacity_ = bytes;
  }
  // Adds `bytes` at the end, not yet written; valid until the next change.
  char* extend(std::size_t bytes) {
    if (size_ + bytes > capacity_) reserve(std::max(size_ + bytes, capacity_ * 2));
    char* at = data_.get() + size_;
    size_ += bytes;
    return at;
  }
  void append(std::string_view bytes) {
    if (!bytes.empty()) std::memcpy(extend(bytes.size()), bytes.data(), bytes.size());
  }
  // Empties it and keeps the memory.
  void clear() { size_ = 0; }
  // Empties it and frees the memory.
  void reset() {
    data_.reset();
    size_ = capacity_ = 0;
  }

 private:
  void swap(Buffer& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    std::swap(capacity_, other.capacity_);
  }
  std::unique_ptr<char[]> data_;
  std::size_t size_ = 0;
  std::size_t capacity_ = 0;
};

}  // namespace hostcall
