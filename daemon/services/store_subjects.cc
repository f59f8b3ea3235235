#include "daemon/services/store_subjects.h"

#include <algorithm>

#include "daemon/store/transaction.h"
#include "hostcall/v1/store.hostcall.h"

namespace hostcall::daemon {
namespace {

Status invalid(std::string text) { return {Code::kInvalidArgument, std::move(text)}; }

// Asks the method about the key, which must be one that the caller can name.
Status ask_about(const StoreNames& names, std::string_view key, const Method& method, Ask::Branch branch, Asks& asks) {
  asks.calls.push_back({.method = &method, .resource = key, .branch = branch});
  return names.check_key(key);
}

// Whoever wants to know what was before must be allowed to get it.
void ask_previous(const Router& router, std::string_view key, Ask::Branch branch, Asks& asks) {
  asks.calls.push_back({.method = router.find(v1::Store::Get::kFullName),
                        .resource = key,
                        .reason = "`previous` reads the key: ",
                        .branch = branch});
}

std::size_t writes_of(const google::protobuf::RepeatedPtrField<v1::Operation>& operations) {
  return static_cast<std::size_t>(
      std::ranges::count_if(operations, [](const auto& operation) { return !operation.has_get(); }));
}

}  // namespace

Status GetSubject::ask(const Method& self, const CallContext& context, const v1::GetRequest& request, Asks& asks) {
  return ask_about(StoreNames(context.caller), request.key(), self, Ask::Branch::kAlways, asks);
}

Status WriteSubject::ask_write(const Method& self, const CallContext& context, std::string_view key, bool previous,
                               Asks& asks) const {
  auto status = ask_about(StoreNames(context.caller), key, self, Ask::Branch::kAlways, asks);
  if (previous) ask_previous(router_, key, Ask::Branch::kAlways, asks);
  return status;
}

Status ListSubject::ask(const Method& self, const CallContext& context, const v1::ListRequest& request, Asks& asks) {
  asks.calls.push_back({.method = &self, .resource = request.prefix()});
  return check(context.caller, request.prefix());
}

Status WatchSubject::ask(const Method& self, const CallContext& context, const v1::WatchRequest& request, Asks& asks) {
  asks.calls.push_back({.method = &self, .resource = request.prefix()});
  asks.writes = request.snapshot() || request.from_revision() != 0;
  return check(context.caller, request.prefix());
}

Status TxnSubject::ask(const Method& self, const CallContext& context, const v1::TxnRequest& request,
                       Asks& asks) const {
  const auto steps = request.compare_size() + request.then_size() + request.else__size();
  if (static_cast<std::size_t>(steps) > store::kMaxSteps)
    return invalid("the transaction has " + std::to_string(steps) + " comparisons and operations, at most " +
                   std::to_string(store::kMaxSteps) + " are allowed");
  const StoreNames names(context.caller);
  asks.calls.push_back({.method = &self, .resource = {}});
  for (const auto& compare : request.compare())
    if (auto status =
            ask_about(names, compare.key(), *router_.find(v1::Store::Get::kFullName), Ask::Branch::kAlways, asks);
        !status.ok())
      return status;
  if (auto status = ask_each(names, request.then(), Ask::Branch::kThen, asks); !status.ok()) return status;
  if (auto status = ask_each(names, request.else_(), Ask::Branch::kElse, asks); !status.ok()) return status;
  asks.writes = std::max(writes_of(request.then()), writes_of(request.else_()));
  return {};
}

Status TxnSubject::ask_each(const StoreNames& names, const Operations& operations, Ask::Branch branch,
                            Asks& asks) const {
  for (const auto& operation : operations)
    if (auto status = ask_step(names, operation, branch, asks); !status.ok()) return status;
  return {};
}

Status TxnSubject::ask_step(const StoreNames& names, const v1::Operation& operation, Ask::Branch branch,
                            Asks& asks) const {
  if (!operation.put().idempotency_key().empty() || !operation.delete_().idempotency_key().empty())
    return invalid("an operation of a transaction has no idempotency key of its own; give it to the transaction");
  const auto ask = [&](std::string_view method, std::string_view key, bool previous) {
    auto status = ask_about(names, key, *router_.find(method), branch, asks);
    if (previous) ask_previous(router_, key, branch, asks);
    return status;
  };
  const auto& put = operation.put();
  const auto& erase = operation.delete_();
  switch (operation.operation_case()) {
    case v1::Operation::kGet: return ask(v1::Store::Get::kFullName, operation.get().key(), false);
    case v1::Operation::kPut: return ask(v1::Store::Put::kFullName, put.key(), put.previous());
    case v1::Operation::kDelete: return ask(v1::Store::Delete::kFullName, erase.key(), erase.previous());
    case v1::Operation::OPERATION_NOT_SET: break;
  }
  return invalid("an operation of the transaction names no get, put or delete");
}

}  // namespace hostcall::daemon
