#include "daemon/services/store_messages.h"

#include <optional>

#include "proto/base/escape.h"

namespace hostcall::daemon {
namespace {

// How long to wait before retrying on a full disk.
constexpr seconds kDiskRetry{1};

Status invalid(std::string text) { return {Code::kInvalidArgument, std::move(text)}; }

std::optional<store::Relation> relation_of(v1::Comparison comparison) {
  switch (comparison) {
    case v1::COMPARISON_EQUAL: return store::Relation::kEqual;
    case v1::COMPARISON_NOT_EQUAL: return store::Relation::kNotEqual;
    case v1::COMPARISON_GREATER: return store::Relation::kGreater;
    case v1::COMPARISON_LESS: return store::Relation::kLess;
    default: return std::nullopt;
  }
}

Status read_target(const v1::Compare& request, store::Compare& compare) {
  using Target = store::Compare::Target;
  switch (request.target_case()) {
    case v1::Compare::kVersion:
      compare.target = Target::kVersion;
      compare.number = request.version();
      return {};
    case v1::Compare::kCreateRevision:
      compare.target = Target::kCreateRevision;
      compare.number = request.create_revision();
      return {};
    case v1::Compare::kModRevision:
      compare.target = Target::kModRevision;
      compare.number = request.mod_revision();
      return {};
    case v1::Compare::kValue:
      compare.target = Target::kValue;
      compare.value = request.value();
      return {};
    case v1::Compare::TARGET_NOT_SET: break;
  }
  return invalid("a comparison names no target: version, create_revision, mod_revision or value");
}

// What an item and a result around it take beside key and value, at most.
constexpr std::size_t kItemBytes = 96;

// A key can depend on a boot only if its session has told the boot id: another session's may be that of an earlier
// boot.
Status check_lifetime(const CallContext& context, const v1::PutRequest& request) {
  if (!v1::Lifetime_IsValid(request.lifetime()))
    return invalid("lifetime " + std::to_string(request.lifetime()) + " is unknown");
  if (request.lifetime() != v1::LIFETIME_BOOT || !context.session.boot_id().empty()) return {};
  const auto& caller = context.caller;
  return {Code::kFailedPrecondition,
          caller.vm ? "this session of " + caller.title() +
                          " has told no boot id, which a key with LIFETIME_BOOT needs: begin the connection with Hello"
                    : "an administrator's keys can't have LIFETIME_BOOT: only a VM boots"};
}

}  // namespace

void fill_item(const StoreNames& names, const store::Record& record, bool with_value, v1::Item& item) {
  item.set_key(names.shown(record.key()));
  if (with_value) item.set_value(std::string(record.value()));
  item.set_create_revision(record.create_revision());
  item.set_mod_revision(record.mod_revision());
  item.set_version(record.version());
  item.set_lifetime(static_cast<v1::Lifetime>(record.lifetime()));
}

void fill_event(const StoreNames& names, const store::Event& event, bool with_previous, v1::Event& message) {
  if (event.now->deleted()) message.set_kind(v1::Event::KIND_DELETE);
  fill_item(names, *event.now, true, *message.mutable_item());
  if (with_previous && event.previous) fill_item(names, *event.previous, true, *message.mutable_previous());
}

std::size_t most_bytes_of(const store::OperationResult& result, bool previous) {
  const bool is_shown = result.record != nullptr && (previous || result.kind == store::Operation::Kind::kGet);
  return kItemBytes + (is_shown ? result.record->bytes() : 0);
}

void fill_result(const StoreNames& names, const store::OperationResult& result, bool previous,
                 v1::OperationResult& message) {
  using Kind = store::Operation::Kind;
  switch (result.kind) {
    case Kind::kGet:
      message.mutable_get()->set_revision(result.revision);
      if (result.record) fill_item(names, *result.record, true, *message.mutable_get()->mutable_item());
      return;
    case Kind::kPut:
      message.mutable_put()->set_revision(result.revision);
      if (previous && result.record) fill_item(names, *result.record, true, *message.mutable_put()->mutable_previous());
      return;
    case Kind::kDelete:
      auto& deleted = *message.mutable_delete_();
      deleted.set_revision(result.revision);
      deleted.set_deleted(result.record != nullptr);
      if (previous && result.record) fill_item(names, *result.record, true, *deleted.mutable_previous());
      return;
  }
}

Status read_get(const StoreNames& names, const v1::GetRequest& request, store::Operation& operation) {
  operation.kind = store::Operation::Kind::kGet;
  return names.key(request.key(), operation.key);
}

Status read_delete(const StoreNames& names, const v1::DeleteRequest& request, store::Operation& operation) {
  operation.kind = store::Operation::Kind::kDelete;
  return names.key(request.key(), operation.key);
}

Status read_put(const StoreNames& names, const CallContext& context, const v1::PutRequest& request,
                store::Operation& operation) {
  const auto& caller = context.caller;
  operation.kind = store::Operation::Kind::kPut;
  operation.lifetime = static_cast<store::Lifetime>(request.lifetime());
  const auto most = caller.vm ? caller.vm->quota.limits().store_value_bytes : Limits{}.store_value_bytes;
  if (request.value().size() > most)
    return over_limit(caller, "store_value_bytes", most,
                      "the value has " + std::to_string(request.value().size()) + " bytes; write less");
  if (auto status = check_lifetime(context, request); !status.ok()) return status;
  operation.value = request.value();
  return names.key(request.key(), operation.key);
}

Status read_compare(const StoreNames& names, const v1::Compare& request, store::Compare& compare) {
  const auto relation = relation_of(request.comparison());
  if (!relation) return invalid("comparison " + std::to_string(request.comparison()) + " is unknown");
  compare.relation = *relation;
  if (auto status = read_target(request, compare); !status.ok()) return status;
  return names.key(request.key(), compare.key);
}

Status status_of(const StoreNames& names, const Caller& caller, const store::Outcome& outcome) {
  using store::OutcomeCode;
  const auto reason =
      outcome.key.empty() ? outcome.reason : "key " + in_quotes(names.shown(outcome.key)) + " " + outcome.reason;
  const auto limits = caller.vm ? caller.vm->quota.limits() : Limits{};
  switch (outcome.code) {
    case OutcomeCode::kDone: return {};
    case OutcomeCode::kInvalid:
    case OutcomeCode::kKeyReused: return invalid(reason);
    case OutcomeCode::kKeysLimit: return over_limit(caller, "store_keys", limits.store_keys, "delete keys first");
    case OutcomeCode::kBytesLimit: return over_limit(caller, "store_bytes", limits.store_bytes, "delete keys first");
    case OutcomeCode::kNoRoom: return {Code::kResourceExhausted, "nothing was done: " + reason};
    case OutcomeCode::kDiskFull:
      return {Code::kResourceExhausted,
              "nothing was written: " + reason + "; make room on the host",
              kDiskRetry,
              {},
              "disk_full"};
    case OutcomeCode::kNoMemory:
      return {Code::kResourceExhausted, "nothing was written: " + reason + "; try again", kDiskRetry};
    case OutcomeCode::kDiskFailed:
      return {Code::kUnavailable, "the outcome is unknown: " + reason + "; see the host's journal"};
    case OutcomeCode::kReadOnly:
      return {Code::kUnavailable, "nothing was written: " + reason + "; see the host's journal"};
  }
  return {Code::kInternal, reason};
}

}  // namespace hostcall::daemon
