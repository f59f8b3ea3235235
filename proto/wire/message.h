// ttrpc's envelope messages Request and Response. Reading copies nothing: the views point into the frame's data.
// Writers ask for the size first, so that each frame is written in one piece.
#pragma once

#include <sys/uio.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "proto/wire/status.h"

namespace hostcall::wire {

// Bytes in several pieces of memory, in order.
struct Pieces {
  std::span<const iovec> list;
  std::size_t size = 0;  // of all together
};

// A payload that writes itself: bytes in one or several pieces, or a message that is serialised straight into the
// output. Does not own its source.
class Payload {
 public:
  using Write = void (*)(const void* source, std::size_t size, char* out);
  Payload() = default;
  Payload(std::string_view bytes);
  Payload(const Pieces& pieces);
  Payload(const void* source, std::size_t size, Write write) : source_(source), size_(size), write_(write) {}

  std::size_t size() const { return size_; }
  void write(char* out) const {
    if (size_ != 0) write_(source_, size_, out);
  }
  // Fills `places` with the pieces of the payload in order and returns their number. 0: its bytes do not exist before
  // write(), or there are more pieces than places.
  std::size_t locate(std::span<iovec> places) const;

 private:
  const void* source_ = nullptr;
  std::size_t size_ = 0;
  Write write_ = nullptr;
};

// Whether a serialised message has at most `most` fields, each repetition counted. Does not look into fields. False for
// bytes that are no message, and for groups.
bool has_few_fields(std::string_view message, std::size_t most);

struct Metadata {
  std::string_view key;
  std::string_view value;
};

// Request{service=1, method=2, payload=3, timeout_nano=4, metadata=5 {key=1, value=2}}
struct RequestView {
  std::string_view service;
  std::string_view method;
  std::string_view payload;
  std::int64_t timeout_nano = 0;  // 0: the caller named none
  std::string_view data;          // the whole message, for metadata()

  // The first metadata value for `key`.
  std::optional<std::string_view> metadata(std::string_view key) const;
  // Visits all pairs of the metadata in order.
  void for_each_metadata(const std::function<void(const Metadata&)>& visit) const;
  // A copy of the metadata in the form of `data`, for those who keep it longer than the rest.
  std::string metadata_data() const;
};

// Nothing: the bytes are not a Request.
std::optional<RequestView> parse_request(std::string_view data);

// Response{status=1 {code=1, message=2, details=3 Any}, payload=2}
struct ResponseView {
  Code code = Code::kOk;
  std::string_view message;
  Duration retry_after{};  // from a google.rpc.RetryInfo among the details
  std::string_view payload;
  std::string_view status_bytes;  // the whole status, for whole_status()

  Status status() const { return {code, std::string(message), retry_after, {}}; }
  // The same with all its details, to pass it on.
  Status whole_status() const;
};

// Nothing: the bytes are not a Response.
std::optional<ResponseView> parse_response(std::string_view data);

// The fields of a Request that is sent, except the payload.
struct RequestFields {
  std::string_view service;
  std::string_view method;
  std::int64_t timeout_nano = 0;
  std::span<const Metadata> metadata{};
};

std::size_t request_size(const RequestFields& fields, std::size_t payload);
// Writes exactly request_size() bytes.
void write_request(const RequestFields& fields, const Payload& payload, char* out);

std::size_t response_size(const Status& status, std::size_t payload);
// Writes exactly response_size() bytes.
void write_response(const Status& status, const Payload& payload, char* out);

}  // namespace hostcall::wire
