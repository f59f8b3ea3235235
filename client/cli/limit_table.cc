// Limits of a VM: see limit_table.h.
#include "client/cli/limit_table.h"

#include <chrono>

#include "client/cli/duration.h"
#include "client/cli/text.h"

namespace hostcall::cli {
namespace {

std::string with_unit(std::uint64_t value, const std::string& unit) {
  if (unit == "bytes") return format_bytes(value);
  if (unit == "per_second") return std::to_string(value) + "/s";
  if (unit == "milliseconds") return format_duration(std::chrono::milliseconds(value));
  return std::to_string(value);
}

}  // namespace

std::string limit_table(const google::protobuf::RepeatedPtrField<v1::Limit>& limits) {
  Table table({"LIMIT", ">VALUE", ">LEFT"});
  for (const auto& limit : limits)
    table.add({limit.name(), with_unit(limit.limit(), limit.unit()), with_unit(limit.left(), limit.unit())});
  return table.to_string();
}

}  // namespace hostcall::cli
