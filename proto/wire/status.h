// Status: how a call ended, in gRPC's codes, as a Response carries it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "proto/base/clock.h"

namespace hostcall::wire {

enum class Code : std::int32_t {
  kOk = 0,
  kCancelled = 1,
  kUnknown = 2,
  kInvalidArgument = 3,
  kDeadlineExceeded = 4,
  kNotFound = 5,
  kAlreadyExists = 6,
  kPermissionDenied = 7,
  kResourceExhausted = 8,
  kFailedPrecondition = 9,
  kAborted = 10,
  kOutOfRange = 11,
  kUnimplemented = 12,
  kInternal = 13,
  kUnavailable = 14,
  kDataLoss = 15,
  kUnauthenticated = 16,
};

// "PERMISSION_DENIED", valid for the life of the program; null for a number that gRPC does not define.
const char* find_code_name(Code code);
// The same; "CODE_42" for a number that gRPC does not define.
std::string code_name(Code code);

struct [[nodiscard]] Status {
  Code code = Code::kOk;
  std::string message;  // on the wire at most kMaxToldText bytes
  // When a retry can succeed; zero: unknown. Sent as google.rpc.RetryInfo.
  Duration retry_after{};
  // Of a status that is passed on: all entries of the field `details`, serialised, with the RetryInfo if there is one.
  std::string details{};
  // hostcalld's own word for the limit that refuses, or the reason, for its counters; lives as long as the program.
  // Never sent. Null: it has no word of its own.
  const char* limit = nullptr;

  bool ok() const { return code == Code::kOk; }
};

}  // namespace hostcall::wire
