#include <deque>

#include "hostcall/v1/admin.pb.h"
#include "hostcall/v1/store.pb.h"
#include "tests/bench/growth/works.h"
#include "tests/bench/harness/client.h"

namespace hostcall::bench {
namespace {

constexpr char kTxn[] = "hostcall.v1.Store/Txn";
constexpr char kVm[] = "vm0";
constexpr char kPurged[] = "purged";

// Writes so many keys below the prefix, in large transactions, several at a time.
void write_keys(WireClient& client, const std::string& prefix, unsigned keys, unsigned value_bytes,
                v1::Lifetime lifetime = v1::LIFETIME_PERSISTENT) {
  constexpr std::size_t kInFlight = 16;
  constexpr unsigned kMostOperations = 120, kMostBytes = 256 * 1024;
  const auto operations = std::min(kMostOperations, std::max(1U, kMostBytes / value_bytes));
  std::deque<std::uint32_t> waiting;
  const auto finish = [&] {
    const auto answer = client.finish(waiting.front());
    waiting.pop_front();
    if (!answer.arrived || !answer.status.ok()) throw std::runtime_error("Txn: " + answer.status.message);
  };
  for (unsigned key = 0; key < keys;) {
    v1::TxnRequest request;
    for (unsigned i = 0; i < operations && key < keys; ++i, ++key) {
      auto& put = *request.add_then()->mutable_put();
      put.set_key(prefix + std::to_string(key));
      put.set_value(pattern(value_bytes));
      put.set_lifetime(lifetime);
    }
    waiting.push_back(client.start(kTxn, request.SerializeAsString()));
    if (waiting.size() == kInFlight) finish();
  }
  while (!waiting.empty()) finish();
}

constexpr unsigned kSmallValue = 64;

}  // namespace

void fill(const Target& target, unsigned keys, unsigned value_bytes) {
  WireClient admin(target.admin());
  write_keys(admin, std::string("/vm/") + kVm + "/filled/", keys, value_bytes);
  Result result;
  result.add("keys", keys);
  result.print();
}

// All keys of the VM, page by page.
void list_keys(const Target& target, unsigned times) {
  WireClient guest(target.vm(kVm));
  guest.hello();
  const auto list_all = [&] {
    v1::ListRequest request;
    request.set_prefix("/self/");
    int keys = 0;
    do {
      const auto page = ask<v1::ListResponse>(guest, "hostcall.v1.Store/List", request);
      keys += page.items_size();
      request.set_continuation(page.continuation());
    } while (!request.continuation().empty());
    return keys;
  };
  Result result;
  result.add("keys", list_all());
  const Cost cost(target);
  for (unsigned i = 0; i < times; ++i) list_all();
  cost.add_to(result, "list");
  result.print();
}

// Of all keys, as the host sees them; the watch begins with a snapshot.
void snapshot(const Target& target) {
  WireClient admin(target.admin());
  admin.hello();
  v1::WatchRequest request;
  request.set_prefix("/vm/");
  request.set_snapshot(true);
  Result result;
  const Cost cost(target);
  const auto watch = admin.start("hostcall.v1.Store/Watch", request.SerializeAsString(), wire::Shape::kServerStream);
  v1::WatchResponse part;
  for (int parts = 0, keys = 0; !part.snapshot_complete(); ++parts) {
    require(part.ParseFromString(admin.receive(watch).value_or("")), "the watch ended");
    keys += part.snapshot_size();
    if (parts == 0) cost.add_to(result, "first_part");
    if (part.snapshot_complete()) result.add("keys", keys);
  }
  cost.add_to(result, "snapshot");
  result.print();
}

void end_session(const Target& target, unsigned keys) {
  auto guest = std::make_unique<WireClient>(target.vm(kVm));
  guest->hello();
  write_keys(*guest, "/self/session/", keys, kSmallValue, v1::LIFETIME_SESSION);
  Result result;
  Cost cost(target);
  guest = nullptr;
  cost.wait_for_counter("store_keys", 0);
  cost.add_to(result, "end");
  result.print();
}

void end_boot(const Target& target, unsigned keys) {
  WireClient guest(target.vm(kVm)), rebooted(target.vm(kVm));
  guest.hello("boot-1");
  write_keys(guest, "/self/boot/", keys, kSmallValue, v1::LIFETIME_BOOT);
  Result result;
  Cost cost(target);
  rebooted.hello("boot-2");
  cost.wait_for_counter("store_keys", 0);
  cost.add_to(result, "end");
  result.print();
}

void purge(const Target& target, unsigned keys, unsigned value_bytes) {
  WireClient admin(target.admin());
  v1::VmAddRequest add;
  add.mutable_record()->set_name(kPurged);
  add.mutable_record()->set_unix_path(target.socket(kPurged));
  call(admin, "hostcall.v1.Admin/VmAdd", add);
  write_keys(admin, std::string("/vm/") + kPurged + "/", keys, value_bytes);
  const auto written = written_bytes(target);
  v1::VmRemoveRequest remove;
  remove.set_name(kPurged);
  remove.set_purge(true);
  Result result;
  const Cost cost(target);
  const auto removed = ask<v1::VmRemoveResponse>(admin, "hostcall.v1.Admin/VmRemove", remove);
  cost.add_to(result, "purge");
  require(removed.keys_deleted() == keys, "a purge deleted other keys");
  result.add("purged_bytes", static_cast<double>(keys) * value_bytes);
  result.add("written_bytes", static_cast<double>(written_bytes(target) - written));
  result.print();
}

}  // namespace hostcall::bench
