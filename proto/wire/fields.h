// FieldReader: reads protobuf's encoding field by field, without its runtime. Copies nothing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace hostcall::wire {

enum WireType : std::uint32_t { kVarint = 0, kFixed64 = 1, kLengthDelimited = 2, kFixed32 = 5 };

// Never reads beyond the view.
class FieldReader {
 public:
  explicit FieldReader(std::string_view data) : at_(data.data()), end_(data.data() + data.size()) {}

  // Fast path: reads the field if it comes next and has at most 127 bytes; otherwise leaves it to next() and
  // returns false. Nearly all fields of a call come like this, in the order of their numbers.
  bool short_bytes(std::uint32_t number, std::string_view& value) {
    if (end_ - at_ < 2 || at_[0] != static_cast<char>(number << 3 | kLengthDelimited)) return false;
    const auto length = static_cast<std::int8_t>(at_[1]);
    if (length < 0 || length > end_ - at_ - 2) return false;
    value = {at_ + 2, static_cast<std::size_t>(length)};
    at_ += 2 + length;
    return true;
  }
  // Fast path: the same for a number of any length.
  void number(std::uint32_t number, std::uint64_t& value) {
    if (at_ == end_ || *at_ != static_cast<char>(number << 3 | kVarint)) return;
    const char* field = at_++;
    if (!read_varint(value)) at_ = field;  // next() reports that it is malformed
  }
  // Moves to the next field. False: the end, or malformed; ok() tells which.
  bool next() {
    if (!ok_ || at_ == end_) return false;
    std::uint64_t key = 0;
    if (!read_varint(key) || key >> 3 == 0 || key > UINT32_MAX) return fail();
    number_ = static_cast<std::uint32_t>(key >> 3);
    type_ = static_cast<std::uint32_t>(key & 7);
    return read_value();
  }
  bool ok() const { return ok_; }
  bool at_end() const { return at_ == end_; }
  // The bytes that are still to be read.
  std::string_view rest() const { return {at_, static_cast<std::size_t>(end_ - at_)}; }
  bool is(std::uint32_t number, WireType type) const { return number_ == number && type_ == type; }
  std::string_view bytes() const { return bytes_; }
  std::uint64_t varint() const { return varint_; }

 private:
  bool fail() { return ok_ = false; }

  bool read_value() {
    switch (type_) {
      case kVarint: return read_varint(varint_) || fail();
      case kFixed64: return take(8) || fail();
      case kFixed32: return take(4) || fail();
      case kLengthDelimited: {
        std::uint64_t length = 0;
        return (read_varint(length) && take(length)) || fail();
      }
      default: return fail();  // groups: these messages have none
    }
  }
  bool take(std::uint64_t length) {
    if (length > static_cast<std::size_t>(end_ - at_)) return false;
    bytes_ = {at_, static_cast<std::size_t>(length)};
    at_ += length;
    return true;
  }
  bool read_varint(std::uint64_t& out) {
    if (at_ != end_ && static_cast<std::int8_t>(*at_) >= 0) {
      out = static_cast<std::uint8_t>(*at_++);
      return true;
    }
    return read_long_varint(out);
  }
  bool read_long_varint(std::uint64_t& out) {
    std::uint64_t value = 0;
    const char* at = at_;
    for (unsigned shift = 0; shift < 64 && at != end_; shift += 7) {
      const auto byte = static_cast<std::uint8_t>(*at++);
      value |= std::uint64_t{byte & 0x7Fu} << shift;
      if (byte >= 0x80) continue;
      out = value;
      at_ = at;
      return true;
    }
    return false;
  }

  const char* at_;
  const char* end_;
  std::string_view bytes_;
  std::uint64_t varint_ = 0;
  std::uint32_t number_ = 0;
  std::uint32_t type_ = 0;
  bool ok_ = true;
};

}  // namespace hostcall::wire
