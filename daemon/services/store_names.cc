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

Status StoreNames::check_key(std::string_view name) const {
  if (const auto checked = store::check_key(name, max_bytes_); !checked.ok())
    return invalid("key", name, checked.error().what);
  if (auto status = check_place(name); !status.ok()) return status;
  // "/shared" and "/vm/web1" are namespaces, not keys. A VM can name neither.
  if (own_.empty() && store::namespace_of(name).empty()) return invalid("key", name, "is a namespace, not a key");
  return {};
}

Status StoreNames::check_prefix(std::string_view name) const {
  if (const auto checked = store::check_prefix(name, max_bytes_); !checked.ok())
    return invalid("prefix", name, checked.error().what);
  return check_place(name);
}

Status StoreNames::key(std::string_view name, std::string& key) const {
  auto status = check_key(name);
  if (status.ok()) key = in_store(name);
  return status;
}

Status StoreNames::prefix(std::string_view name, std::string& prefix) const {
  auto status = check_prefix(name);
  if (status.ok()) prefix = in_store(name);
  return status;
}

Status StoreNames::check_place(std::string_view name) const {
  const bool shared = name.starts_with(kShared);
  if (!own_.empty())
    return shared || name.starts_with(kSelf)
               ? Status{}
               : Status{Code::kInvalidArgument,
                        "there are no keys at " + in_quotes(name) + "; a VM's are below /self/ and /shared/"};
  const auto vm = store::vm_of(name);
  const bool known = shared || name == "/" || name == "/vm/" || (!vm.empty() && is_name(vm));
  return known ? Status{}
               : Status{Code::kInvalidArgument, "there are no keys at " + in_quotes(name) +
                                                    "; an administrator's are below /vm/NAME/ and /shared/"};
}

std::string StoreNames::in_store(std::string_view name) const {
  if (own_.empty() || !name.starts_with(kSelf)) return std::string(name);
  return own_ + std::string(name.substr(kSelf.size()));
}

std::string StoreNames::shown(std::string_view in_store) const {
  if (own_.empty() || !in_store.starts_with(own_)) return std::string(in_store);
  return std::string(kSelf) + std::string(in_store.substr(own_.size()));
}

}  // namespace hostcall::daemon
