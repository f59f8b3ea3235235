#include "daemon/services/store_service.h"

#include <algorithm>
#include <array>
#include <memory>

#include "daemon/services/store_watch.h"
#include "daemon/services/store_write.h"
#include "daemon/store/key.h"
#include "hostcall/v1/store.hostcall.h"

namespace hostcall::daemon {
namespace {

// Limits of one page of a List: keys that it scans, and bytes of the keys and values that it returns.
constexpr std::size_t kPageKeys = 1000;
constexpr std::size_t kPageBytes = 192 * 1024;
constexpr std::uint32_t kMinProgressMs = 100;
// Owns administrators' idempotency keys. No VM can have this name.
constexpr char kHostOwner[] = "@admin";

Status invalid(std::string text) { return {Code::kInvalidArgument, std::move(text)}; }

// FNV-1a. It only tells a VM's own requests apart, so it need not withstand attacks.
std::string fingerprint(const google::protobuf::MessageLite& request) {
  std::uint64_t hash = 0xcbf29ce484222325;
  for (const char c : request.GetTypeName() + request.SerializeAsString())
    hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  return std::to_string(hash);
}

std::size_t writes_of(const std::vector<store::Operation>& operations) {
  return static_cast<std::size_t>(std::ranges::count_if(
      operations, [](const auto& operation) { return operation.kind != store::Operation::Kind::kGet; }));
}

// Charges the VM's rate for so many writes.
Status take_rate(const CallContext& context, std::size_t writes) {
  if (!context.caller.vm) return {};
  auto& vm = *context.caller.vm;
  const auto wait = vm.store_write_rate.take(context.now, static_cast<double>(writes));
  if (wait == Duration::zero()) return {};
  const auto ms = std::to_string(std::chrono::ceil<milliseconds>(wait).count());
  auto status =
      over_limit(context.caller, "store_write_rate", vm.quota.limits().store_write_rate, "retry in " + ms + " ms");
  status.retry_after = wait;
  return status;
}

class StoreService {
 public:
  StoreService(const Router& router, store::Engine& engine, Reactor& reactor)
      : router_(router), engine_(engine), reactor_(reactor) {}

  Status get(const CallContext& context, const v1::GetRequest& request, v1::GetResponse& response) const;
  Status put(const CallContext& context, const v1::PutRequest& request, Handler& handler) const;
  Status erase(const CallContext& context, const v1::DeleteRequest& request, Handler& handler) const;
  Status list(const CallContext& context, const v1::ListRequest& request, v1::ListResponse& response) const;
  Status txn(const CallContext& context, const v1::TxnRequest& request, v1::TxnResponse& response,
             Handler& handler) const;
  Status watch(const CallContext& context, const v1::WatchRequest& request, Handler& handler) const;

 private:
  store::Transaction begin(const CallContext& context) const;
  template <class M>
  Status authorize(const CallContext& context, const std::string& key) const {
    return context.session.authorize(*router_.find(M::kFullName), key);
  }
  Status read_txn(const CallContext& context, const StoreNames& names, const v1::TxnRequest& request,
                  store::Transaction& transaction) const;
  Status read_step(const CallContext& context, const StoreNames& names, const v1::Operation& request,
                   store::Operation& operation) const;
  template <class Response, class Request, class Fill>
  Status submit(const CallContext& context, const Request& request, store::Transaction transaction, Fill fill,
                Handler& handler) const;

  const Router& router_;
  store::Engine& engine_;
  Reactor& reactor_;
};

// ---------------------------------------------------------------- reading

Status StoreService::get(const CallContext& context, const v1::GetRequest& request, v1::GetResponse& response) const {
  const StoreNames names(context.caller);
  std::string key;
  if (auto status = names.key(request.key(), key); !status.ok()) return status;
  if (const auto record = engine_.get(key)) fill_item(names, *record, true, *response.mutable_item());
  response.set_revision(engine_.revision());
  return {};
}

Status StoreService::list(const CallContext& context, const v1::ListRequest& request,
                          v1::ListResponse& response) const {
  const StoreNames names(context.caller);
  std::string prefix, after;
  if (auto status = names.prefix(request.prefix(), prefix); !status.ok()) return status;
  if (!request.continuation().empty()) {
    if (auto status = names.key(request.continuation(), after); !status.ok()) return status;
    if (!store::covers(prefix, after))
      return {Code::kOutOfRange, "the continuation belongs to another prefix; begin without one"};
  }
  const auto& self = *router_.find(v1::Store::List::kFullName);
  const auto most_items = request.limit() == 0 ? kPageKeys : std::min<std::size_t>(request.limit(), kPageKeys);
  std::size_t looked_at = 0, bytes = 0;
  store::Ref last;
  engine_.scan(prefix, after, [&](const store::Ref& record) {
    const auto size = record->key().size() + (request.keys_only() ? 0 : record->value().size());
    const bool full = static_cast<std::size_t>(response.items_size()) == most_items || looked_at == kPageKeys ||
                      (bytes + size > kPageBytes && last);
    if (full) {
      response.set_continuation(names.shown(last->key()));
      return false;
    }
    ++looked_at;
    last = record;
    if (!context.session.may(self, names.shown(record->key()))) return true;
    bytes += size;
    fill_item(names, *record, !request.keys_only(), *response.add_items());
    return true;
  });
  response.set_revision(engine_.revision());
  return {};
}

// ---------------------------------------------------------------- writing

store::Transaction StoreService::begin(const CallContext& context) const {
  const auto& caller = context.caller;
  store::Transaction transaction;
  transaction.session_holder = std::to_string(context.session.session_id());
  if (!caller.vm) return transaction;
  const auto& limits = caller.vm->quota.limits();
  transaction.writer = caller.vm->record.name;
  transaction.limits = {.keys = limits.store_keys, .bytes = limits.store_bytes};
  if (!caller.vm->boot_id.empty()) transaction.boot_holder = store::boot_holder(transaction.writer, caller.vm->boot_id);
  return transaction;
}

// Charges the VM and makes the handler that submits the transaction.
template <class Response, class Request, class Fill>
Status StoreService::submit(const CallContext& context, const Request& request, store::Transaction transaction,
                            Fill fill, Handler& handler) const {
  if (const auto& key = request.idempotency_key(); !key.empty()) {
    if (key.size() > store::kMaxIdempotencyKey)
      return invalid("the idempotency key has " + std::to_string(key.size()) + " bytes, at most " +
                     std::to_string(store::kMaxIdempotencyKey) + " are allowed");
    transaction.idempotency = {.owner = transaction.writer.empty() ? kHostOwner : transaction.writer,
                               .key = key,
                               .fingerprint = fingerprint(request),
                               .encode = {}};
  }
  const auto writes = std::max(writes_of(transaction.then), writes_of(transaction.otherwise));
  if (auto status = take_rate(context, writes); !status.ok()) return status;
  auto held = context.caller.charge(Resource::kMemory);
  if (!held.try_grow(store::bytes_of(transaction)))
    return over_limit(context.caller, "memory_bytes", context.caller.vm->quota.limits().memory_bytes,
                      "write less at once");
  handler = std::make_unique<StoreWrite<Response>>(engine_, context.caller, std::move(transaction), std::move(fill),
                                                   std::move(held));
  return {};
}

Status StoreService::put(const CallContext& context, const v1::PutRequest& request, Handler& handler) const {
  auto transaction = begin(context);
  const StoreNames names(context.caller);
  if (auto status = read_put(names, context.caller, request, transaction.then.emplace_back()); !status.ok())
    return status;
  return submit<v1::PutResponse>(
      context, request, std::move(transaction),
      [names, previous = request.previous()](const store::Outcome& outcome, v1::PutResponse& response) {
        v1::OperationResult result;
        fill_result(names, outcome.results.front(), outcome.revision, previous, result);
        response = std::move(*result.mutable_put());
      },
      handler);
}

Status StoreService::erase(const CallContext& context, const v1::DeleteRequest& request, Handler& handler) const {
  auto transaction = begin(context);
  const StoreNames names(context.caller);
  if (auto status = read_delete(names, request, transaction.then.emplace_back()); !status.ok()) return status;
  return submit<v1::DeleteResponse>(
      context, request, std::move(transaction),
      [names, previous = request.previous()](const store::Outcome& outcome, v1::DeleteResponse& response) {
        v1::OperationResult result;
        fill_result(names, outcome.results.front(), outcome.revision, previous, result);
        response = std::move(*result.mutable_delete_());
      },
      handler);
}

// ---------------------------------------------------------------- transactions

// Which puts and deletes want to know what was before, in order.
std::vector<bool> previous_of(const google::protobuf::RepeatedPtrField<v1::Operation>& operations) {
  std::vector<bool> previous;
  for (const auto& operation : operations)
    previous.push_back(operation.put().previous() || operation.delete_().previous());
  return previous;
}

Status StoreService::read_step(const CallContext& context, const StoreNames& names, const v1::Operation& request,
                               store::Operation& operation) const {
  switch (request.operation_case()) {
    case v1::Operation::kGet:
      if (auto status = authorize<v1::Store::Get>(context, request.get().key()); !status.ok()) return status;
      return read_get(names, request.get(), operation);
    case v1::Operation::kPut:
      if (!request.put().idempotency_key().empty()) break;
      if (auto status = authorize<v1::Store::Put>(context, request.put().key()); !status.ok()) return status;
      return read_put(names, context.caller, request.put(), operation);
    case v1::Operation::kDelete:
      if (!request.delete_().idempotency_key().empty()) break;
      if (auto status = authorize<v1::Store::Delete>(context, request.delete_().key()); !status.ok()) return status;
      return read_delete(names, request.delete_(), operation);
    case v1::Operation::OPERATION_NOT_SET:
      return invalid("an operation of the transaction names no get, put or delete");
  }
  return invalid("an operation of a transaction has no idempotency key of its own; give it to the transaction");
}

Status StoreService::read_txn(const CallContext& context, const StoreNames& names, const v1::TxnRequest& request,
                              store::Transaction& transaction) const {
  const auto steps = request.compare_size() + request.then_size() + request.else__size();
  if (static_cast<std::size_t>(steps) > store::kMaxSteps)
    return invalid("the transaction has " + std::to_string(steps) + " comparisons and operations, at most " +
                   std::to_string(store::kMaxSteps) + " are allowed");
  for (const auto& compare : request.compare()) {
    if (auto status = authorize<v1::Store::Get>(context, compare.key()); !status.ok()) return status;
    if (auto status = read_compare(names, compare, transaction.compare.emplace_back()); !status.ok()) return status;
  }
  for (const auto& operation : request.then())
    if (auto status = read_step(context, names, operation, transaction.then.emplace_back()); !status.ok())
      return status;
  for (const auto& operation : request.else_())
    if (auto status = read_step(context, names, operation, transaction.otherwise.emplace_back()); !status.ok())
      return status;
  return {};
}

Status StoreService::txn(const CallContext& context, const v1::TxnRequest& request, v1::TxnResponse& response,
                         Handler& handler) const {
  auto transaction = begin(context);
  const StoreNames names(context.caller);
  if (auto status = read_txn(context, names, request, transaction); !status.ok()) return status;
  const auto fill = [names, then = previous_of(request.then()), otherwise = previous_of(request.else_())](
                        const store::Outcome& outcome, v1::TxnResponse& answer) {
    answer.set_succeeded(outcome.succeeded);
    answer.set_revision(outcome.revision);
    const auto& previous = outcome.succeeded ? then : otherwise;
    for (std::size_t i = 0; i < outcome.results.size(); ++i)
      fill_result(names, outcome.results[i], outcome.revision, previous[i], *answer.add_results());
  };
  if (store::may_write(transaction))
    return submit<v1::TxnResponse>(context, request, std::move(transaction), fill, handler);
  const auto outcome = engine_.read(transaction);
  if (outcome.code != store::OutcomeCode::kDone) return status_of(context.caller, outcome);
  fill(outcome, response);
  return {};
}

// ---------------------------------------------------------------- watching

Status StoreService::watch(const CallContext& context, const v1::WatchRequest& request, Handler& handler) const {
  const auto& caller = context.caller;
  const StoreNames names(caller);
  std::string prefix;
  if (auto status = names.prefix(request.prefix(), prefix); !status.ok()) return status;
  if (request.from_revision() < 0 || (request.snapshot() && request.from_revision() != 0))
    return invalid("a watch begins with a snapshot or from a revision above 0, not with both");
  if (const auto ms = request.progress_interval_ms(); ms != 0 && ms < kMinProgressMs)
    return invalid("progress_interval_ms is " + std::to_string(ms) + ", it must be 0 or at least " +
                   std::to_string(kMinProgressMs));
  // Scanning the keys or the history costs about as much as a write.
  if (request.snapshot() || request.from_revision() != 0)
    if (auto status = take_rate(context, 1); !status.ok()) return status;
  StoreWatch::Charges charges{caller.charge(Resource::kWatches), caller.charge(Resource::kMemory)};
  if (!charges.place.try_grow(1))
    return over_limit(caller, "store_watches", caller.vm->quota.limits().store_watches, "end another watch first");
  if (request.snapshot() && !charges.snapshot.try_grow(engine_.snapshot_bytes(prefix)))
    return over_limit(caller, "memory_bytes", caller.vm->quota.limits().memory_bytes,
                      "the snapshot does not fit; list the keys page by page and watch from the next revision");
  const auto may = [&session = context.session, &self = *router_.find(v1::Store::Watch::kFullName)](
                       std::string_view key) { return session.may(self, key); };
  handler = std::make_unique<StoreWatch>(engine_, reactor_, names, request, std::move(prefix), std::move(charges), may);
  return {};
}

}  // namespace

void register_store_service(Router& router, store::Engine& engine, Reactor& reactor) {
  namespace Store = v1::Store;
  const auto service = std::make_shared<StoreService>(router, engine, reactor);
  const auto key = [](const auto& request) -> std::string_view { return request.key(); };
  const auto prefix = [](const auto& request) -> std::string_view { return request.prefix(); };
  using Context = CallContext;
  router.unary_of<Store::Get>(Audience::kGuest, key,
                              [service](const Context& context, const auto& request, auto& response) {
                                return service->get(context, request, response);
                              });
  router.unary_of<Store::Put>(Audience::kGuest, key,
                              [service](const Context& context, const auto& request, auto&, Handler& handler) {
                                return service->put(context, request, handler);
                              });
  router.unary_of<Store::Delete>(Audience::kGuest, key,
                                 [service](const Context& context, const auto& request, auto&, Handler& handler) {
                                   return service->erase(context, request, handler);
                                 });
  router.unary_of<Store::List>(Audience::kGuest, prefix,
                               [service](const Context& context, const auto& request, auto& response) {
                                 return service->list(context, request, response);
                               });
  router.unary<Store::Txn>(Audience::kGuest,
                           [service](const Context& context, const auto& request, auto& response, Handler& handler) {
                             return service->txn(context, request, response, handler);
                           });
  router.handled_of<Store::Watch>(Audience::kGuest, prefix,
                                  [service](const Context& context, const auto& request, Handler& handler) {
                                    return service->watch(context, request, handler);
                                  });
  router.check_complete(Store::kAllMethods);
}

}  // namespace hostcall::daemon
