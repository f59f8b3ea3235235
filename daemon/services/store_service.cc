#include "daemon/services/store_service.h"

#include <algorithm>
#include <array>
#include <memory>

#include "daemon/services/store_list.h"
#include "daemon/services/store_subjects.h"
#include "daemon/services/store_watch.h"
#include "daemon/services/store_write.h"
#include "daemon/store/key.h"
#include "handover/state.pb.h"
#include "hostcall/v1/store.hostcall.h"

namespace hostcall::daemon {
namespace {

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

Status reply_too_large(const CallContext& context, std::size_t bytes) {
  return {Code::kResourceExhausted,
          "the reply would have more than " + std::to_string(bytes) + " bytes, of which " +
              std::to_string(context.max_reply_bytes()) +
              " can be sent now; read the replies to earlier calls, or get fewer keys at once"};
}

// "/vm/web1/a and 2 more"
std::string written_keys(const store::Transaction& transaction) {
  std::string first;
  std::size_t more = 0;
  for (const auto* operations : {&transaction.then, &transaction.otherwise})
    for (const auto& operation : *operations) {
      if (operation.kind == store::Operation::Kind::kGet) continue;
      if (first.empty())
        first = operation.key;
      else
        ++more;
    }
  return more == 0 ? first : first + " and " + std::to_string(more) + " more";
}

// ---------------------------------------------------------------- responses

v1::PutResponse take(v1::OperationResult result, const v1::PutResponse&) { return std::move(*result.mutable_put()); }
v1::DeleteResponse take(v1::OperationResult result, const v1::DeleteResponse&) {
  return std::move(*result.mutable_delete_());
}

// Of a transaction with one operation.
template <class Response>
typename StoreWrite<Response>::Reply single_reply(const StoreNames& names, bool previous) {
  return {.fill =
              [names, previous](const store::Outcome& outcome, Response& response) {
                v1::OperationResult result;
                fill_result(names, outcome.results.front(), previous, result);
                response = take(std::move(result), response);
              },
          .most_bytes =
              [previous](const store::Outcome& outcome) { return most_bytes_of(outcome.results.front(), previous); }};
}

// Which puts and deletes want to know what was before, in order.
std::vector<bool> previous_of(const google::protobuf::RepeatedPtrField<v1::Operation>& operations) {
  std::vector<bool> previous;
  for (const auto& operation : operations)
    previous.push_back(operation.put().previous() || operation.delete_().previous());
  return previous;
}

class TxnReply {
 public:
  TxnReply(const StoreNames& names, const v1::TxnRequest& request)
      : names_(names), then_(previous_of(request.then())), otherwise_(previous_of(request.else_())) {}

  void fill(const store::Outcome& outcome, v1::TxnResponse& response) const {
    response.set_succeeded(outcome.succeeded);
    response.set_revision(outcome.revision);
    const auto& previous = previous_in(outcome);
    for (std::size_t i = 0; i < outcome.results.size(); ++i)
      fill_result(names_, outcome.results[i], previous[i], *response.add_results());
  }
  std::size_t most_bytes(const store::Outcome& outcome) const {
    constexpr std::size_t kOwnBytes = 32;
    std::size_t bytes = kOwnBytes;
    const auto& previous = previous_in(outcome);
    for (std::size_t i = 0; i < outcome.results.size(); ++i) bytes += most_bytes_of(outcome.results[i], previous[i]);
    return bytes;
  }

 private:
  const std::vector<bool>& previous_in(const store::Outcome& outcome) const {
    return outcome.succeeded ? then_ : otherwise_;
  }
  const StoreNames names_;
  const std::vector<bool> then_, otherwise_;
};

class StoreService {
 public:
  StoreService(const Router& router, store::Engine& engine, Reactor& reactor)
      : router_(router), engine_(engine), reactor_(reactor), turns_(reactor) {}

  Status get(const CallContext& context, const v1::GetRequest& request, v1::GetResponse& response) const;
  template <class Response, class Request>
  Status write(const CallContext& context, const Request& request, Handler& handler) const;
  Status list(const CallContext& context, const v1::ListRequest& request, v1::ListResponse& response,
              Handler& handler) const;
  Status txn(const CallContext& context, const v1::TxnRequest& request, v1::TxnResponse& response,
             Handler& handler) const;
  Status watch(const CallContext& context, const v1::WatchRequest& request, Handler& handler);
  Status resume_watch(const CallContext& context, const handover::Watch& earlier, Handler& handler);

 private:
  store::Transaction begin(const CallContext& context) const;
  template <class M>
  const Method& method() const {
    return *router_.find(M::kFullName);
  }
  Status begin_watch(const CallContext& context, const v1::WatchRequest& request, std::string prefix,
                     const handover::Watch* earlier, Handler& handler);
  Status read_txn(const StoreNames& names, const CallContext& context, const v1::TxnRequest& request,
                  store::Transaction& transaction) const;
  Status read_step(const StoreNames& names, const CallContext& context, const v1::Operation& request,
                   store::Operation& operation) const;
  template <class Response, class Request>
  Status submit(const CallContext& context, const Request& request, store::Transaction transaction,
                typename StoreWrite<Response>::Reply reply, Handler& handler) const;

  const Router& router_;
  store::Engine& engine_;
  Reactor& reactor_;
  WatchTurns turns_;
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

Status StoreService::list(const CallContext& context, const v1::ListRequest& request, v1::ListResponse& response,
                          Handler& handler) const {
  const StoreNames names(context.caller);
  std::string prefix, after;
  if (auto status = names.prefix(request.prefix(), prefix); !status.ok()) return status;
  if (!request.continuation().empty()) {
    if (auto status = names.key(request.continuation(), after); !status.ok()) return status;
    if (!store::covers(prefix, after))
      return {Code::kOutOfRange, "the continuation belongs to another prefix; begin without one"};
  }
  ListPage page(engine_, context, method<v1::Store::List>(), request, std::move(prefix), std::move(after));
  // Only a VM has keys hidden from it, and so a page that has to wait.
  if (!page.fill(response))
    handler = std::make_unique<StoreList>(reactor_.work(), context.caller.vm->share, std::move(page));
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
  const auto& boot_id = context.session.boot_id();
  if (!boot_id.empty()) transaction.boot_holder = store::boot_holder(transaction.writer, boot_id);
  return transaction;
}

// Charges the VM and makes the handler that submits the transaction.
template <class Response, class Request>
Status StoreService::submit(const CallContext& context, const Request& request, store::Transaction transaction,
                            typename StoreWrite<Response>::Reply reply, Handler& handler) const {
  if (const auto& key = request.idempotency_key(); !key.empty()) {
    if (key.size() > store::kMaxIdempotencyKey)
      return invalid("the idempotency key has " + std::to_string(key.size()) + " bytes, at most " +
                     std::to_string(store::kMaxIdempotencyKey) + " are allowed");
    transaction.idempotency = {.owner = transaction.writer.empty() ? kHostOwner : transaction.writer,
                               .key = key,
                               .fingerprint = fingerprint(request),
                               .encode = {}};
  }
  auto held = context.caller.charge(Resource::kMemory);
  if (!held.try_grow(store::bytes_of(transaction)))
    return over_limit(context.caller, "memory_bytes", context.caller.vm->quota.limits().memory_bytes,
                      "write less at once");
  // What administrators write is recorded.
  const bool is_recorded = context.caller.audience == Audience::kAdmin;
  auto keys = is_recorded ? written_keys(transaction) : std::string();
  handler = std::make_unique<StoreWrite<Response>>(engine_, context.caller, std::move(transaction), std::move(reply),
                                                   std::move(held), std::move(keys));
  if (is_recorded) handler->record.emplace(nullptr, context.now);
  return {};
}

Status read(const StoreNames& names, const CallContext& context, const v1::PutRequest& request,
            store::Operation& operation) {
  return read_put(names, context, request, operation);
}
Status read(const StoreNames& names, const CallContext&, const v1::DeleteRequest& request,
            store::Operation& operation) {
  return read_delete(names, request, operation);
}

// Policy has allowed the write itself.
template <class Response, class Request>
Status StoreService::write(const CallContext& context, const Request& request, Handler& handler) const {
  auto transaction = begin(context);
  const StoreNames names(context.caller);
  if (auto status = read(names, context, request, transaction.then.emplace_back()); !status.ok()) return status;
  return submit<Response>(context, request, std::move(transaction), single_reply<Response>(names, request.previous()),
                          handler);
}

// ---------------------------------------------------------------- transactions

// The names and the number of steps are checked already.
Status StoreService::read_step(const StoreNames& names, const CallContext& context, const v1::Operation& request,
                               store::Operation& operation) const {
  if (request.has_get()) return read_get(names, request.get(), operation);
  if (request.has_put()) return read_put(names, context, request.put(), operation);
  return read_delete(names, request.delete_(), operation);
}

Status StoreService::read_txn(const StoreNames& names, const CallContext& context, const v1::TxnRequest& request,
                              store::Transaction& transaction) const {
  for (const auto& compare : request.compare())
    if (auto status = read_compare(names, compare, transaction.compare.emplace_back()); !status.ok()) return status;
  for (const auto& operation : request.then())
    if (auto status = read_step(names, context, operation, transaction.then.emplace_back()); !status.ok())
      return status;
  for (const auto& operation : request.else_())
    if (auto status = read_step(names, context, operation, transaction.otherwise.emplace_back()); !status.ok())
      return status;
  return {};
}

Status StoreService::txn(const CallContext& context, const v1::TxnRequest& request, v1::TxnResponse& response,
                         Handler& handler) const {
  context.spend(static_cast<std::size_t>(request.compare_size() + request.then_size() + request.else__size()));
  auto transaction = begin(context);
  const StoreNames names(context.caller);
  if (auto status = read_txn(names, context, request, transaction); !status.ok()) return status;
  const TxnReply reply(names, request);
  if (store::may_write(transaction))
    return submit<v1::TxnResponse>(
        context, request, std::move(transaction),
        {.fill = [reply](const store::Outcome& outcome, v1::TxnResponse& answer) { reply.fill(outcome, answer); },
         .most_bytes = [reply](const store::Outcome& outcome) { return reply.most_bytes(outcome); }},
        handler);
  const auto outcome = engine_.read(transaction);
  if (outcome.code != store::OutcomeCode::kDone) return status_of(names, context.caller, outcome);
  if (const auto bytes = reply.most_bytes(outcome); bytes > context.max_reply_bytes())
    return reply_too_large(context, bytes);
  reply.fill(outcome, response);
  return {};
}

// ---------------------------------------------------------------- watching

Status StoreService::watch(const CallContext& context, const v1::WatchRequest& request, Handler& handler) {
  const auto& caller = context.caller;
  const StoreNames names(caller);
  std::string prefix;
  if (auto status = names.prefix(request.prefix(), prefix); !status.ok()) return status;
  if (request.from_revision() < 0 || (request.snapshot() && request.from_revision() != 0))
    return invalid("a watch begins with a snapshot or from a revision above 0, not with both");
  if (const auto ms = request.progress_interval_ms(); ms != 0 && ms < kMinProgressMs)
    return invalid("progress_interval_ms is " + std::to_string(ms) + ", it must be 0 or at least " +
                   std::to_string(kMinProgressMs));
  return begin_watch(context, request, std::move(prefix), nullptr, handler);
}

Status StoreService::resume_watch(const CallContext& context, const handover::Watch& earlier, Handler& handler) {
  v1::WatchRequest request;
  request.set_progress_interval_ms(earlier.progress_interval_ms());
  request.set_previous(earlier.previous());
  return begin_watch(context, request, earlier.prefix(), &earlier, handler);
}

Status StoreService::begin_watch(const CallContext& context, const v1::WatchRequest& request, std::string prefix,
                                 const handover::Watch* earlier, Handler& handler) {
  const auto& caller = context.caller;
  StoreWatch::Charges charges{caller.charge(Resource::kWatches), caller.charge(Resource::kMemory)};
  if (!charges.place.try_grow(1))
    return over_limit(caller, "store_watches", caller.vm->quota.limits().store_watches, "end another watch first");
  if (!charges.memory.try_grow(StoreWatch::kOwnBytes))
    return over_limit(caller, "memory_bytes", caller.vm->quota.limits().memory_bytes, "end another call first");
  const auto may = [&session = context.session, self = &method<v1::Store::Watch>()](std::string_view key,
                                                                                    std::size_t& looked_at) {
    return session.may({.method = self, .resource = key}, looked_at);
  };
  handler = std::make_unique<StoreWatch>(StoreWatch::Environment{engine_, reactor_, turns_}, caller, request,
                                         std::move(prefix), std::move(charges), may, earlier);
  return {};
}

}  // namespace

void register_store_service(Router& router, store::Engine& engine, Reactor& reactor) {
  namespace Store = v1::Store;
  const auto service = std::make_shared<StoreService>(router, engine, reactor);
  using Context = CallContext;
  router.unary_of<Store::Get>(Audience::kGuest, GetSubject{},
                              [service](const Context& context, const auto& request, auto& response) {
                                return service->get(context, request, response);
                              });
  router.unary_of<Store::Put>(Audience::kGuest, WriteSubject(router),
                              [service](const Context& context, const auto& request, auto&, Handler& handler) {
                                return service->write<v1::PutResponse>(context, request, handler);
                              });
  router.unary_of<Store::Delete>(Audience::kGuest, WriteSubject(router),
                                 [service](const Context& context, const auto& request, auto&, Handler& handler) {
                                   return service->write<v1::DeleteResponse>(context, request, handler);
                                 });
  router.unary_of<Store::List>(
      Audience::kGuest, ListSubject{},
      [service](const Context& context, const auto& request, auto& response, Handler& handler) {
        return service->list(context, request, response, handler);
      });
  router.unary_of<Store::Txn>(Audience::kGuest, TxnSubject(router),
                              [service](const Context& context, const auto& request, auto& response, Handler& handler) {
                                return service->txn(context, request, response, handler);
                              });
  router.handled_of<Store::Watch>(Audience::kGuest, WatchSubject{},
                                  [service](const Context& context, const auto& request, Handler& handler) {
                                    return service->watch(context, request, handler);
                                  });
  router.resumes<Store::Watch>(
      [service](const Context& context, const handover::Call& call, Incoming&, Handler& handler) {
        return service->resume_watch(context, call.watch(), handler);
      });
  router.check_complete(Store::kAllMethods);
}

}  // namespace hostcall::daemon
