#include "daemon/services/route_metadata.h"

#include <algorithm>
#include <charconv>

#include "daemon/config/metadata_key.h"
#include "proto/base/escape.h"
#include "proto/base/utf8.h"

namespace hostcall::daemon {
namespace {

using wire::Code;
using wire::Metadata;
using wire::Status;

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

std::string_view evidence_of(const Caller& caller) {
  if (caller.peer.family != net::Address::Family::kVsock) return "unix";
  return caller.privileged_port() ? "cid,privileged-port" : "cid";
}

// One registration and one boot of a VM.
std::string incarnation_of(const Caller& caller, std::string_view boot_id) {
  auto text = std::to_string(caller.vm->registration);
  if (!boot_id.empty()) text.append(1, '-').append(boot_id);
  return text;
}

Status refusal(const std::string& what) { return {Code::kInvalidArgument, what, {}, {}}; }

}  // namespace

// In lower case: Go's servers look for keys so.
RouteMetadata::RouteMetadata(const Caller& caller, std::string_view boot_id, std::uint64_t call)
    : incarnation_(incarnation_of(caller, boot_id)) {
  const auto& record = caller.vm->record;
  list_.reserve(kOwnPairs);
  list_.push_back({"hostcall-vm", record.name});
  if (!record.uuid.empty()) list_.push_back({"hostcall-vm-uuid", record.uuid});
  list_.push_back({"hostcall-incarnation", incarnation_});
  list_.push_back({"hostcall-evidence", evidence_of(caller)});
  list_.push_back({"hostcall-call-id", {call_id_.data(), std::to_chars(call_id_.begin(), call_id_.end(), call).ptr}});
}

Status RouteMetadata::add(const wire::RequestView& request, const RoutedService& service) {
  if (service.metadata.empty()) return {};
  Status status;
  std::size_t pairs = 0, bytes = 0;
  request.for_each_metadata([&](const Metadata& pair) {
    ++looked_at_;
    if (!status.ok() || pair.key.size() > kMaxBytes) return;
    std::string key(pair.key);
    std::ranges::transform(key, key.begin(), lower);
    // Other characters could make a server take a key for one of hostcall's.
    if (key.empty() || !is_metadata_text(key) || is_own_metadata(key) || !service.takes_metadata(key)) return;
    bytes += key.size() + pair.value.size();
    if (++pairs > kMaxPairs || bytes > kMaxBytes)
      status = refusal("the service takes at most " + std::to_string(kMaxPairs) + " metadata of " +
                       std::to_string(kMaxBytes) + " bytes together");
    else if (!utf8::is_valid(pair.value))
      status = refusal("the value of the metadata " + in_quotes(key) + " is not UTF-8");
    else
      list_.push_back({kept_.emplace_back(std::move(key)), pair.value});
  });
  return status;
}

}  // namespace hostcall::daemon
