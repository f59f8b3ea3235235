// hostcall.h: codes, versions and results.
#include <algorithm>

#include "client/lib/c_api.h"

using hostcall::wire::Code;

static_assert(HOSTCALL_OK == static_cast<int>(Code::kOk));
static_assert(HOSTCALL_CANCELLED == static_cast<int>(Code::kCancelled));
static_assert(HOSTCALL_UNKNOWN == static_cast<int>(Code::kUnknown));
static_assert(HOSTCALL_INVALID_ARGUMENT == static_cast<int>(Code::kInvalidArgument));
static_assert(HOSTCALL_DEADLINE_EXCEEDED == static_cast<int>(Code::kDeadlineExceeded));
static_assert(HOSTCALL_NOT_FOUND == static_cast<int>(Code::kNotFound));
static_assert(HOSTCALL_ALREADY_EXISTS == static_cast<int>(Code::kAlreadyExists));
static_assert(HOSTCALL_PERMISSION_DENIED == static_cast<int>(Code::kPermissionDenied));
static_assert(HOSTCALL_RESOURCE_EXHAUSTED == static_cast<int>(Code::kResourceExhausted));
static_assert(HOSTCALL_FAILED_PRECONDITION == static_cast<int>(Code::kFailedPrecondition));
static_assert(HOSTCALL_ABORTED == static_cast<int>(Code::kAborted));
static_assert(HOSTCALL_OUT_OF_RANGE == static_cast<int>(Code::kOutOfRange));
static_assert(HOSTCALL_UNIMPLEMENTED == static_cast<int>(Code::kUnimplemented));
static_assert(HOSTCALL_INTERNAL == static_cast<int>(Code::kInternal));
static_assert(HOSTCALL_UNAVAILABLE == static_cast<int>(Code::kUnavailable));
static_assert(HOSTCALL_DATA_LOSS == static_cast<int>(Code::kDataLoss));
static_assert(HOSTCALL_UNAUTHENTICATED == static_cast<int>(Code::kUnauthenticated));

int hostcall::client::fail(hostcall_result* result, hostcall_code code, std::string_view text) {
  if (result == nullptr) return code;
  result->clear();
  result->status.code = static_cast<Code>(code);
  result->status.message = text;
  return code;
}

const char* hostcall_code_name(int code) {
  const char* name = hostcall::wire::find_code_name(static_cast<Code>(code));
  return name == nullptr ? "UNKNOWN_CODE" : name;
}

const char* hostcall_version(void) { return HOSTCALL_VERSION; }

hostcall_result* hostcall_result_new(void) { return new (std::nothrow) hostcall_result; }
void hostcall_result_free(hostcall_result* result) { delete result; }

int hostcall_result_code(const hostcall_result* result) {
  return result == nullptr ? HOSTCALL_OK : static_cast<int>(result->status.code);
}

const char* hostcall_result_message(const hostcall_result* result) {
  return result == nullptr ? "" : result->status.message.c_str();
}

std::uint32_t hostcall_result_retry_after_ms(const hostcall_result* result) {
  if (result == nullptr) return 0;
  const auto ms = std::chrono::ceil<hostcall::milliseconds>(result->status.retry_after).count();
  return static_cast<std::uint32_t>(std::clamp<decltype(ms)>(ms, 0, UINT32_MAX));
}

int hostcall_result_outcome_unknown(const hostcall_result* result) {
  return result != nullptr && result->outcome_unknown;
}

const void* hostcall_result_payload(const hostcall_result* result, std::size_t* size) {
  const auto payload = result == nullptr ? std::string_view() : result->payload.view();
  if (size == nullptr) return nullptr;
  *size = payload.size();
  return payload.data();
}
