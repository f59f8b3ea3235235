#include "tests/soak/durable_write.h"

#include "hostcall/v1/store.pb.h"
#include "tests/soak/ledger.h"

namespace hostcall::test {
namespace {

// The store keeps the answers to so many writes of a VM that its memory would grow through most of the soak if all VMs
// had idempotency keys. The others compare.
constexpr unsigned kVmsPerIdempotentOne = 50;

const std::string kService = kStoreService;

void set(v1::PutRequest& put, const std::string& key, const std::string& value) {
  put.set_key(key);
  put.set_value(value);
}

bool is_ok(const Answer& answer) { return answer.arrived && answer.status.ok(); }

bool write_with_idempotency_key(Connection& connection, unsigned vm, unsigned key, std::uint64_t number) {
  const auto idempotency_key = std::to_string(key) + "-" + std::to_string(number);
  if (const auto value = value_after(vm, key, number)) {
    v1::PutRequest request;
    set(request, durable_key(vm, key), *value);
    request.set_idempotency_key(idempotency_key);
    return is_ok(connection.call(kService + "Put", request));
  }
  v1::DeleteRequest request;
  request.set_key(durable_key(vm, key));
  request.set_idempotency_key(idempotency_key);
  return is_ok(connection.call(kService + "Delete", request));
}

// Only if the key is as write `number` - 1 has left it; else tells what is there. A missing key compares as empty.
v1::TxnRequest transaction(unsigned vm, unsigned key, std::uint64_t number) {
  v1::TxnRequest request;
  auto& compare = *request.add_compare();
  compare.set_key(durable_key(vm, key));
  compare.set_value(value_after(vm, key, number - 1).value_or(""));
  if (const auto value = value_after(vm, key, number))
    set(*request.add_then()->mutable_put(), durable_key(vm, key), *value);
  else
    request.add_then()->mutable_delete_()->set_key(durable_key(vm, key));
  request.add_else_()->mutable_get()->set_key(durable_key(vm, key));
  return request;
}

bool write_by_comparing(Connection& connection, unsigned vm, unsigned key, std::uint64_t number) {
  const auto answer = connection.call(kService + "Txn", transaction(vm, key, number));
  if (!is_ok(answer)) return false;
  const auto reply = parsed<v1::TxnResponse>(answer.payload);
  if (reply.succeeded()) return true;
  // It was done before, unknown to us.
  const auto& found = reply.results(0).get();
  const auto value = found.has_item() ? std::optional(found.item().value()) : std::nullopt;
  if (value != value_after(vm, key, number))
    throw Unexpected(soak_vm(vm) + ": at write " + std::to_string(number) + ", key " + std::to_string(key) + " has " +
                     std::to_string(number_of(value.value_or(""))));
  return true;
}

}  // namespace

std::string durable_key(unsigned vm, unsigned key) { return guest_folder(vm) + kDurableFolder + std::to_string(key); }

bool write_durably(Connection& connection, unsigned vm, unsigned key, std::uint64_t number) {
  const bool idempotent = vm % kVmsPerIdempotentOne == 0;
  return (idempotent ? write_with_idempotency_key : write_by_comparing)(connection, vm, key, number);
}

}  // namespace hostcall::test
