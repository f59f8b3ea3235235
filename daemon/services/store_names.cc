#include "daemon/services/store_names.h"

#include "daemon/store/key.h"
#include "proto/base/escape.h"

namespace hostcall::daemon {
namespace {

constexpr std::string_view kSelf = "/self/";
constexpr std::string_view kShared = "/shared/";

Status invalid(const char* what, std::string_view name, std::string_view why) {
  return {Code::kInvalidArgument, std::string("the ") + what + " " + in_quotes(name) + " " + std::string(why)};
}

}  // namespace

StoreNames::StoreNames(const Caller& caller)
    : own_(caller.vm ? store::vm_prefix(caller.vm->record.name) : ""),
      max_bytes_(caller.vm ? caller.vm->quota.limits().store_key_bytes : Limits{}.store_key_bytes) {}

Status StoreNames::key(std::string_view name, std::string& in_store) const {
  if (const auto checked = store::check_key(name, max_bytes_); !checked.ok())
    return invalid("key", name, checked.error().what);
  if (auto status = map(name, in_store); !status.ok()) return status;
  // "/shared" and "/vm/web1" are namespaces, not keys.
  if (store::namespace_of(in_store).empty()) return invalid("key", name, "is a namespace, not a key");
  return {};
}

Status StoreNames::prefix(std::string_view name, std::string& in_store) const {
  if (const auto checked = store::check_prefix(name, max_bytes_); !checked.ok())
    return invalid("prefix", name, checked.error().what);
  return map(name, in_store);
}

Status StoreNames::map(std::string_view name, std::string& in_store) const {
  const bool shared = name.starts_with(kShared);
  if (own_.empty()) {
    in_store = name;
    const auto vm = store::vm_of(name);
    const bool known = shared || name == "/" || name == "/vm/" || (!vm.empty() && is_name(vm));
    return known ? Status{}
                 : Status{Code::kInvalidArgument, "there are no keys at " + in_quotes(name) +
                                                      "; an administrator's are below /vm/NAME/ and /shared/"};
  }
  const bool self = name.starts_with(kSelf);
  if (!self && !shared)
    return {Code::kInvalidArgument,
            "there are no keys at " + in_quotes(name) + "; a VM's are below /self/ and /shared/"};
  in_store = self ? own_ + std::string(name.substr(kSelf.size())) : std::string(name);
  return {};
}

std::string StoreNames::shown(std::string_view in_store) const {
  if (own_.empty() || !in_store.starts_with(own_)) return std::string(in_store);
  return std::string(kSelf) + std::string(in_store.substr(own_.size()));
}

}  // namespace hostcall::daemon
