#include "proto/wire/status.h"

namespace hostcall::wire {

const char* find_code_name(Code code) {
  constexpr const char* kNames[] = {
      "OK",        "CANCELLED",      "UNKNOWN",           "INVALID_ARGUMENT",   "DEADLINE_EXCEEDED",
      "NOT_FOUND", "ALREADY_EXISTS", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION",
      "ABORTED",   "OUT_OF_RANGE",   "UNIMPLEMENTED",     "INTERNAL",           "UNAVAILABLE",
      "DATA_LOSS", "UNAUTHENTICATED"};
  const auto index = static_cast<std::size_t>(code);
  return index < std::size(kNames) ? kNames[index] : nullptr;
}

std::string code_name(Code code) {
  if (const char* name = find_code_name(code)) return name;
  return "CODE_" + std::to_string(static_cast<std::int32_t>(code));
}

}  // namespace hostcall::wire
