#include "proto/wire/message.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "proto/wire/fields.h"

namespace hostcall::wire {
namespace {

constexpr std::string_view kRetryInfoType = "type.googleapis.com/google.rpc.RetryInfo";
constexpr std::int64_t kNanosPerSecond = 1'000'000'000;

// A message of two length-delimited fields 1 and 2: a KeyValue of the metadata, or google.protobuf.Any.
std::optional<Metadata> parse_pair(std::string_view data) {
  Metadata pair;
  FieldReader field(data);
  field.short_bytes(1, pair.key);
  field.short_bytes(2, pair.value);
  while (field.next()) {
    if (field.is(1, kLengthDelimited)) pair.key = field.bytes();
    if (field.is(2, kLengthDelimited)) pair.value = field.bytes();
  }
  if (!field.ok()) return std::nullopt;
  return pair;
}

// google.rpc.RetryInfo{retry_delay=1 google.protobuf.Duration{seconds=1, nanos=2}}
Duration parse_retry_info(std::string_view data) {
  constexpr std::uint64_t kMaxSeconds = 1'000'000;
  std::uint64_t seconds = 0, nanos = 0;
  FieldReader info(data);
  while (info.next()) {
    if (!info.is(1, kLengthDelimited)) continue;
    FieldReader duration(info.bytes());
    while (duration.next()) {
      if (duration.is(1, kVarint)) seconds = duration.varint();
      if (duration.is(2, kVarint)) nanos = duration.varint();
    }
  }
  if (seconds > kMaxSeconds || nanos >= kNanosPerSecond) return {};
  return nanoseconds(static_cast<std::int64_t>(seconds) * kNanosPerSecond + static_cast<std::int64_t>(nanos));
}

bool parse_status(std::string_view data, ResponseView& response) {
  response.status_bytes = data;
  FieldReader field(data);
  while (field.next()) {
    if (field.is(1, kVarint)) response.code = static_cast<Code>(static_cast<std::int32_t>(field.varint()));
    if (field.is(2, kLengthDelimited)) response.message = field.bytes();
    if (!field.is(3, kLengthDelimited)) continue;
    const auto any = parse_pair(field.bytes());
    if (!any) return false;
    if (any->key == kRetryInfoType) response.retry_after = parse_retry_info(any->value);
  }
  return field.ok();
}

// Slow path: fields that are long, repeated or out of order. Not inlined, and with a copy of the reader: otherwise a
// unary call takes 10 instructions more on the server and 14 more on the client (0.4 and 0.5 %).

[[gnu::noinline]] bool parse_request_slow(FieldReader field, RequestView& request) {
  for (std::string_view pair; field.short_bytes(5, pair);)
    if (!parse_pair(pair)) return false;
  while (field.next()) {
    if (field.is(1, kLengthDelimited)) request.service = field.bytes();
    if (field.is(2, kLengthDelimited)) request.method = field.bytes();
    if (field.is(3, kLengthDelimited)) request.payload = field.bytes();
    if (field.is(4, kVarint)) request.timeout_nano = static_cast<std::int64_t>(field.varint());
    if (field.is(5, kLengthDelimited) && !parse_pair(field.bytes())) return false;
  }
  return field.ok();
}

[[gnu::noinline]] bool parse_response_slow(FieldReader field, ResponseView& response) {
  while (field.next()) {
    if (field.is(1, kLengthDelimited) && !parse_status(field.bytes(), response)) return false;
    if (field.is(2, kLengthDelimited)) response.payload = field.bytes();
  }
  return field.ok();
}

// A byte holds seven bits.
std::size_t varint_size(std::uint64_t value) {
  return value < 0x80 ? 1 : (static_cast<std::size_t>(std::bit_width(value)) + 6) / 7;
}

// Field numbers here are below 16, so a key is one byte.
std::size_t element_size(std::size_t bytes) { return 1 + varint_size(bytes) + bytes; }
std::size_t delimited_size(std::size_t bytes) { return bytes == 0 ? 0 : element_size(bytes); }
std::size_t number_size(std::uint64_t value) { return value == 0 ? 0 : 1 + varint_size(value); }

// Writes fields one after another; the caller has reserved the room.
class FieldWriter {
 public:
  explicit FieldWriter(char* out) : out_(out) {}

  void number(std::uint32_t field, std::uint64_t value) {
    if (value == 0) return;
    key(field, kVarint);
    varint(value);
  }
  void bytes(std::uint32_t field, std::string_view value) {
    if (value.empty()) return;
    open(field, value.size());
    fields(value);
  }
  // Fields that are serialised already.
  void fields(std::string_view value) { out_ = std::copy(value.begin(), value.end(), out_); }
  void payload(std::uint32_t field, const Payload& value) {
    if (value.size() == 0) return;
    open(field, value.size());
    value.write(out_);
    out_ += value.size();
  }
  // Starts a field of `size` bytes, which the caller writes next.
  void open(std::uint32_t field, std::size_t size) {
    key(field, kLengthDelimited);
    varint(size);
  }

 private:
  void key(std::uint32_t field, WireType type) { *out_++ = static_cast<char>(field << 3 | type); }
  void varint(std::uint64_t value) {
    for (; value >= 0x80; value >>= 7) *out_++ = static_cast<char>(value | 0x80);
    *out_++ = static_cast<char>(value);
  }
  char* out_;
};

struct RetrySizes {
  std::uint64_t seconds, nanos;
  std::size_t duration, info, any;
};

RetrySizes retry_sizes(Duration retry_after) {
  const auto total = static_cast<std::uint64_t>(std::chrono::duration_cast<nanoseconds>(retry_after).count());
  RetrySizes sizes{};
  sizes.seconds = total / kNanosPerSecond;
  sizes.nanos = total % kNanosPerSecond;
  sizes.duration = number_size(sizes.seconds) + number_size(sizes.nanos);
  sizes.info = delimited_size(sizes.duration);
  sizes.any = delimited_size(kRetryInfoType.size()) + delimited_size(sizes.info);
  return sizes;
}

std::size_t pair_size(const Metadata& pair) {
  return delimited_size(pair.key.size()) + delimited_size(pair.value.size());
}

// All entries of a repeated field, as they are. Those that lie side by side are copied together.
std::string entries_of(std::string_view message, std::uint32_t number) {
  std::string entries;
  std::string_view rest = message, run;
  FieldReader field(message);
  while (field.next()) {
    const auto size = rest.size() - field.rest().size();
    if (field.is(number, kLengthDelimited)) {
      run = {run.empty() ? rest.data() : run.data(), run.size() + size};
    } else {
      entries.append(run);
      run = {};
    }
    rest = field.rest();
  }
  return entries.append(run);
}

void write_bytes(const void* source, std::size_t size, char* out) { std::memcpy(out, source, size); }

void write_pieces(const void* source, std::size_t, char* out) {
  for (const auto& piece : static_cast<const Pieces*>(source)->list) {
    if (piece.iov_len == 0) continue;  // the address may be null
    std::memcpy(out, piece.iov_base, piece.iov_len);
    out += piece.iov_len;
  }
}

// A status that is passed on has its RetryInfo among its details.
bool has_retry(const Status& status) { return status.retry_after > Duration::zero() && status.details.empty(); }

// A status that is not written at all.
bool is_plain_ok(const Status& status) {
  return status.ok() && status.message.empty() && !has_retry(status) && status.details.empty();
}

std::uint64_t code_varint(Code code) {
  return static_cast<std::uint64_t>(static_cast<std::int64_t>(static_cast<std::int32_t>(code)));
}

std::size_t status_size(const Status& status) {
  std::size_t size =
      number_size(code_varint(status.code)) + delimited_size(status.message.size()) + status.details.size();
  if (has_retry(status)) size += delimited_size(retry_sizes(status.retry_after).any);
  return size;
}

void write_retry(Duration retry_after, FieldWriter& out) {
  const auto sizes = retry_sizes(retry_after);
  out.open(3, sizes.any);
  out.bytes(1, kRetryInfoType);
  out.open(2, sizes.info);
  out.open(1, sizes.duration);
  out.number(1, sizes.seconds);
  out.number(2, sizes.nanos);
}

}  // namespace

bool has_few_fields(std::string_view message, std::size_t most) {
  FieldReader field(message);
  for (std::size_t count = 0; field.next(); ++count)
    if (count == most) return false;
  return field.ok();
}

Payload::Payload(std::string_view bytes) : source_(bytes.data()), size_(bytes.size()), write_(write_bytes) {}

Payload::Payload(const Pieces& pieces) : source_(&pieces), size_(pieces.size), write_(write_pieces) {}

std::size_t Payload::locate(std::span<iovec> places) const {
  if (write_ == write_bytes && !places.empty()) {
    // iovec has no const; nobody writes there.
    places[0] = {const_cast<void*>(source_), size_};
    return 1;
  }
  if (write_ != write_pieces) return 0;
  const auto& list = static_cast<const Pieces*>(source_)->list;
  if (list.size() > places.size()) return 0;
  std::ranges::copy(list, places.begin());
  return list.size();
}

std::optional<std::string_view> RequestView::metadata(std::string_view key) const {
  FieldReader field(data);
  while (field.next()) {
    if (!field.is(5, kLengthDelimited)) continue;
    const auto pair = parse_pair(field.bytes());
    if (pair && pair->key == key) return pair->value;
  }
  return std::nullopt;
}

void RequestView::for_each_metadata(const std::function<void(const Metadata&)>& visit) const {
  FieldReader field(data);
  while (field.next())
    if (field.is(5, kLengthDelimited))
      if (const auto pair = parse_pair(field.bytes())) visit(*pair);
}

std::string RequestView::metadata_data() const { return entries_of(data, 5); }

Status ResponseView::whole_status() const {
  if (status_bytes.empty()) return {};
  auto whole = status();
  whole.details = entries_of(status_bytes, 3);
  return whole;
}

std::optional<RequestView> parse_request(std::string_view data) {
  std::optional<RequestView> result(RequestView{.data = data});
  auto& request = *result;
  FieldReader field(data);
  field.short_bytes(1, request.service);
  field.short_bytes(2, request.method);
  field.short_bytes(3, request.payload);
  std::uint64_t timeout = 0;
  field.number(4, timeout);
  request.timeout_nano = static_cast<std::int64_t>(timeout);
  if (!field.at_end() && !parse_request_slow(field, request)) result.reset();
  return result;
}

std::optional<ResponseView> parse_response(std::string_view data) {
  std::optional<ResponseView> result(std::in_place);
  auto& response = *result;
  FieldReader field(data);
  field.short_bytes(2, response.payload);
  if (!field.at_end() && !parse_response_slow(field, response)) result.reset();
  return result;
}

std::size_t request_size(const RequestFields& fields, std::size_t payload) {
  std::size_t size = delimited_size(fields.service.size()) + delimited_size(fields.method.size()) +
                     number_size(static_cast<std::uint64_t>(fields.timeout_nano)) + delimited_size(payload);
  for (const auto& pair : fields.metadata) size += element_size(pair_size(pair));
  return size;
}

void write_request(const RequestFields& fields, const Payload& payload, char* out) {
  FieldWriter writer(out);
  writer.bytes(1, fields.service);
  writer.bytes(2, fields.method);
  writer.payload(3, payload);
  writer.number(4, static_cast<std::uint64_t>(fields.timeout_nano));
  for (const auto& pair : fields.metadata) {
    writer.open(5, pair_size(pair));
    writer.bytes(1, pair.key);
    writer.bytes(2, pair.value);
  }
}

std::size_t response_size(const Status& status, std::size_t payload) {
  return (is_plain_ok(status) ? 0 : delimited_size(status_size(status))) + delimited_size(payload);
}

void write_response(const Status& status, const Payload& payload, char* out) {
  FieldWriter writer(out);
  if (!is_plain_ok(status)) {
    writer.open(1, status_size(status));
    writer.number(1, code_varint(status.code));
    writer.bytes(2, status.message);
    if (has_retry(status)) write_retry(status.retry_after, writer);
    writer.fields(status.details);
  }
  writer.payload(2, payload);
}

}  // namespace hostcall::wire
