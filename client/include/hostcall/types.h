// Value types of the C++ interface (codes, status, replies, options) and their conversion to the C interface. Include
// client.h instead.
#pragma once

#include <google/protobuf/message_lite.h>
#include <hostcall/hostcall.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace hostcall {
inline namespace abi0 {

// gRPC's codes. A host may send other numbers; they are cast to Code.
enum class Code : int {
  kOk = HOSTCALL_OK,
  kCancelled = HOSTCALL_CANCELLED,
  kUnknown = HOSTCALL_UNKNOWN,
  kInvalidArgument = HOSTCALL_INVALID_ARGUMENT,
  kDeadlineExceeded = HOSTCALL_DEADLINE_EXCEEDED,
  kNotFound = HOSTCALL_NOT_FOUND,
  kAlreadyExists = HOSTCALL_ALREADY_EXISTS,
  kPermissionDenied = HOSTCALL_PERMISSION_DENIED,
  kResourceExhausted = HOSTCALL_RESOURCE_EXHAUSTED,
  kFailedPrecondition = HOSTCALL_FAILED_PRECONDITION,
  kAborted = HOSTCALL_ABORTED,
  kOutOfRange = HOSTCALL_OUT_OF_RANGE,
  kUnimplemented = HOSTCALL_UNIMPLEMENTED,
  kInternal = HOSTCALL_INTERNAL,
  kUnavailable = HOSTCALL_UNAVAILABLE,
  kDataLoss = HOSTCALL_DATA_LOSS,
  kUnauthenticated = HOSTCALL_UNAUTHENTICATED,
};

// "PERMISSION_DENIED". Static text.
inline const char* code_name(Code code) { return hostcall_code_name(static_cast<int>(code)); }

// How a call ended.
struct [[nodiscard]] Status {
  Code code = Code::kOk;
  std::string message{};                    // for people; may be text from the host
  std::chrono::milliseconds retry_after{};  // when a retry can succeed; 0: unknown
  bool outcome_unknown = false;             // the host may have carried the call out although no answer came

  bool ok() const { return code == Code::kOk; }
};

// A value, or the Status of the failure.
template <class T>
class [[nodiscard]] Reply {
 public:
  Reply(T value) : value_(std::move(value)) {}
  // `status` must not be ok.
  Reply(Status status) : status_(std::move(status)) {}

  bool ok() const { return value_.has_value(); }
  explicit operator bool() const { return ok(); }
  const Status& status() const { return status_; }
  // These require ok().
  T& operator*() & { return *value_; }
  const T& operator*() const& { return *value_; }
  T&& operator*() && { return *std::move(value_); }
  T* operator->() { return &*value_; }
  const T* operator->() const { return &*value_; }

 private:
  std::optional<T> value_;
  Status status_;
};

inline constexpr auto kNoTimeout = std::chrono::milliseconds::max();

// Options of a client; hostcall_options documents each field. Zero or nothing: the default.
struct Options {
  std::string address{};
  std::string client_name{};
  std::string client_version{};
  std::optional<std::chrono::milliseconds> call_timeout{};
  std::chrono::milliseconds connect_timeout{};
  std::chrono::milliseconds hello_timeout{};
  std::chrono::milliseconds connect_budget{};
  std::chrono::milliseconds backoff_base{};
  std::chrono::milliseconds backoff_cap{};
  std::uint32_t max_queued_calls = 0;
  std::uint32_t max_unread_bytes = 0;
  std::uint32_t source_port = 0;
  bool crc = false;
  bool wait_for_ready = false;
  bool privileged_port = false;
  std::chrono::microseconds busy_poll{};
};

// Options of one call.
struct CallOptions {
  std::optional<std::chrono::milliseconds> timeout{};  // from now; kNoTimeout: none; nothing: the client's
  bool wait_for_ready = false;                         // wait for a connection until the deadline, whatever the error
};

// What both sides agreed on; see hostcall_session.
struct Session {
  std::uint64_t session_id = 0;
  std::uint64_t features = 0;
  std::string vm_name{};
  std::string daemon_epoch{};
  std::string daemon_version{};
  std::uint32_t max_message_bytes = 0;
  std::uint32_t max_streams = 0;
  std::chrono::milliseconds heartbeat_interval{};
};

// Identifies a call of start(), for cancel().
using CallId = std::uint64_t;

enum class Shape : int {
  kClientStream = HOSTCALL_CLIENT_STREAM,
  kServerStream = HOSTCALL_SERVER_STREAM,
  kBidiStream = HOSTCALL_BIDI_STREAM,
};

// Outcome of a try_ function.
enum class Progress {
  kDone,        // sent, or received
  kWouldBlock,  // not now: wait for on_event(), or use Client::wait()
  kEnded,       // the stream has ended, or this side is closed: see finish()
};

namespace detail {

struct Free {
  void operator()(hostcall_client* client) const { hostcall_client_free(client); }
  void operator()(hostcall_stream* stream) const { hostcall_stream_free(stream); }
  void operator()(hostcall_result* result) const { hostcall_result_free(result); }
};
template <class T>
using Handle = std::unique_ptr<T, Free>;

// Milliseconds of the C interface, where 0 means the default: a timeout below 1 ms becomes 1 ms.
inline std::uint32_t to_ms(std::chrono::milliseconds time) {
  if (time.count() < 1) return 1;
  return time.count() < HOSTCALL_NO_TIMEOUT ? static_cast<std::uint32_t>(time.count()) : HOSTCALL_NO_TIMEOUT;
}
inline std::uint32_t to_ms_or_default(std::chrono::milliseconds time) { return time.count() == 0 ? 0 : to_ms(time); }

inline hostcall_call_options to_c(const CallOptions& options) {
  return {sizeof(hostcall_call_options), options.timeout ? to_ms(*options.timeout) : 0, options.wait_for_ready};
}

inline hostcall_options to_c(const Options& options) {
  hostcall_options c{};
  c.size = sizeof c;
  c.address = options.address.empty() ? nullptr : options.address.c_str();
  c.client_name = options.client_name.empty() ? nullptr : options.client_name.c_str();
  c.client_version = options.client_version.empty() ? nullptr : options.client_version.c_str();
  c.call_timeout_ms = options.call_timeout ? to_ms(*options.call_timeout) : 0;
  c.connect_timeout_ms = to_ms_or_default(options.connect_timeout);
  c.hello_timeout_ms = to_ms_or_default(options.hello_timeout);
  c.connect_budget_ms = to_ms_or_default(options.connect_budget);
  c.backoff_base_ms = to_ms_or_default(options.backoff_base);
  c.backoff_cap_ms = to_ms_or_default(options.backoff_cap);
  c.max_queued_calls = options.max_queued_calls;
  c.max_unread_bytes = options.max_unread_bytes;
  c.source_port = options.source_port;
  c.crc = options.crc;
  c.wait_for_ready = options.wait_for_ready;
  c.privileged_port = options.privileged_port;
  c.busy_poll_usec = static_cast<std::uint32_t>(options.busy_poll.count());
  return c;
}

inline hostcall_payload payload_of(std::string_view bytes) { return hostcall_bytes(bytes.data(), bytes.size()); }

// The library serialises the message straight into its output.
inline hostcall_payload payload_of(const google::protobuf::MessageLite& message) {
  return {&message, message.ByteSizeLong(), [](const void* source, std::size_t size, char* out) {
            static_cast<const google::protobuf::MessageLite*>(source)->SerializePartialToArray(out,
                                                                                               static_cast<int>(size));
          }};
}

inline Status status_of(const hostcall_result* result) {
  return {static_cast<Code>(hostcall_result_code(result)), hostcall_result_message(result),
          std::chrono::milliseconds(hostcall_result_retry_after_ms(result)),
          hostcall_result_outcome_unknown(result) != 0};
}

inline std::string_view bytes_of(const hostcall_result* result) {
  std::size_t size = 0;
  const void* data = hostcall_result_payload(result, &size);
  return {static_cast<const char*>(data), size};
}

inline bool parse(std::string_view bytes, google::protobuf::MessageLite& out) {
  return bytes.size() <= INT32_MAX && out.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()));
}

inline Status malformed(std::string_view type) {
  return {Code::kInternal, "the host's reply is not a " + std::string(type), {}, false};
}

inline Status take(const hostcall_result* result, google::protobuf::MessageLite& out) {
  if (hostcall_result_code(result) != HOSTCALL_OK) return status_of(result);
  return parse(bytes_of(result), out) ? Status{} : malformed(out.GetTypeName());
}

template <class Message>
Reply<Message> take_message(const hostcall_result* result) {
  Reply<Message> reply{Message()};  // filled in place, because moving a message is not free
  if (auto status = take(result, *reply); !status.ok()) reply = std::move(status);
  return reply;
}

inline Reply<std::string> take_bytes(const hostcall_result* result) {
  if (hostcall_result_code(result) != HOSTCALL_OK) return status_of(result);
  return std::string(bytes_of(result));
}

}  // namespace detail

}  // namespace abi0
}  // namespace hostcall
