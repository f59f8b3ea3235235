// VM records as text: see vm_text.h.
#include "client/hostcallctl/vm_text.h"

#include <charconv>

#include "client/cli/exit_code.h"
#include "client/cli/text.h"
#include "proto/base/escape.h"

namespace hostcall::cli::host {
namespace {

std::string own_limits(const v1::VmRecord& record) {
  std::vector<std::string> limits;
  for (const auto& limit : record.limits()) limits.push_back(limit.name() + "=" + std::to_string(limit.value()));
  return join(limits, ", ");
}

}  // namespace

v1::LimitOverride parse_limit(const std::string& text) {
  const auto equals = text.find('=');
  std::uint64_t value = 0;
  const char* end = text.data() + text.size();
  const char* digits = equals == std::string::npos ? end : text.data() + equals + 1;
  const auto [stop, error] = std::from_chars(digits, end, value);
  if (error == std::errc::result_out_of_range)
    throw usage("--limit " + in_quotes(text) + ": the number is above the maximum of " + std::to_string(UINT64_MAX));
  if (error != std::errc{} || stop != end)
    throw usage("--limit " + in_quotes(text) +
                " is not NAME=NUMBER, for example streams=64; "
                "hostcallctl vm show lists the names");
  v1::LimitOverride limit;
  limit.set_name(text.substr(0, equals));
  limit.set_value(value);
  return limit;
}

std::string evidence_of(const v1::VmRecord& record) {
  std::vector<std::string> ways;
  if (record.cid() != 0) ways.push_back("CID " + std::to_string(record.cid()));
  if (!record.unix_path().empty())
    ways.push_back("unix " + printable(record.unix_path()) +
                   (record.has_vmm_uid() ? " from uid " + std::to_string(record.vmm_uid()) : ""));
  return join(ways, ", ");
}

std::string describe(const v1::VmState& vm) {
  const auto& record = vm.record();
  Table table;
  table.field("VM", record.name());
  table.field("UUID", record.uuid());
  table.field("tags", join({record.tags().begin(), record.tags().end()}, ", "));
  table.field("recognised by", evidence_of(record));
  if (!vm.uds_path().empty()) table.field("uds_path", vm.uds_path());
  table.field("listener", vm.unreachable().empty() ? "open" : "missing: " + vm.unreachable());
  table.field("own limits", own_limits(record));
  table.field("origin", vm.origin());
  table.field("registration", std::to_string(vm.registration()));
  table.field("boot id", vm.boot_id());
  table.field("connections", std::to_string(vm.connections()));
  table.field("open calls", std::to_string(vm.streams()));
  table.field("memory", format_bytes(vm.memory_bytes()));
  table.field("store history", format_bytes(vm.store_history_bytes()));
  table.field("calls", std::to_string(vm.calls()));
  table.field("denied", std::to_string(vm.denied()));
  return table.to_string();
}

}  // namespace hostcall::cli::host
